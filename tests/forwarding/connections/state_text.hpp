#pragma once

#include <cstddef>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nlvs::test {

/// State tables as documentation prints them: a title line, a line of state names, then for each
/// event its name and a new state per column, "." meaning unchanged. Answers by name, so that it
/// shares nothing with the tables under test but the letters.
class StateText {
public:
    explicit StateText(std::string_view text) {
        std::istringstream lines{std::string{text}};
        std::string line;
        std::string title;
        while (std::getline(lines, line)) {
            if (line.empty()) continue;
            if (line.starts_with("==")) {
                title = line.substr(3);
                std::getline(lines, line);
                states_ = words(line);
                continue;
            }
            const auto cells = words(line);
            for (std::size_t i = 0; i < states_.size(); ++i) {
                const std::string& cell = cells.at(i + 1);
                next_[{title, cells[0] + " " + states_[i]}] = cell == "." ? states_[i] : cell;
            }
        }
    }

    const std::vector<std::string>& states() const { return states_; }

    std::string next(const std::string& title, const std::string& event, const std::string& state)
        const {
        return next_.at({title, event + " " + state});
    }

    std::size_t size() const { return next_.size(); }

private:
    static std::vector<std::string> words(const std::string& line) {
        std::istringstream stream{line};
        std::vector<std::string> result;
        for (std::string word; stream >> word;) result.push_back(word);
        return result;
    }

    std::vector<std::string> states_;
    std::map<std::pair<std::string, std::string>, std::string> next_;
};

}  // namespace nlvs::test
