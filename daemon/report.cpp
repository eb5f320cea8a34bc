#include "daemon/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace nlvs::daemon {
namespace {

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
            out += c;
        }
    }
    return out + '"';
}

std::string plain(const Report::Value& value) {
    if (const auto* text = std::get_if<std::string>(&value)) return *text;
    if (const auto* number = std::get_if<std::uint64_t>(&value)) return fmt::format("{}", *number);
    if (const auto* fraction = std::get_if<double>(&value)) return fmt::format("{:.1f}", *fraction);
    return std::get<bool>(value) ? "yes" : "no";
}

std::string json(const Report::Value& value) {
    if (const auto* text = std::get_if<std::string>(&value)) return quoted(*text);
    if (const auto* yes = std::get_if<bool>(&value)) return *yes ? "true" : "false";
    return plain(value);
}

bool is_number(const Report::Value& value) {
    return std::holds_alternative<std::uint64_t>(value) || std::holds_alternative<double>(value);
}

void append_list(std::string& out, const Report::Table& table) {
    std::size_t width = 0;
    for (const auto& column : table.columns) width = std::max(width, column.size());
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
        out += fmt::format("{:<{}}  {}\n", table.columns[i], width, plain(table.rows[0][i]));
    }
}

void append_line(
    std::string& out, const std::vector<std::string>& cells, const std::vector<std::size_t>& widths,
    const std::vector<bool>& to_the_right
) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
        if (i > 0) line += "  ";
        line += to_the_right[i] ? fmt::format("{:>{}}", cells[i], widths[i])
                                : fmt::format("{:<{}}", cells[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
}

void append_table(std::string& out, const Report::Table& table) {
    std::vector<std::size_t> widths;
    std::vector<bool> to_the_right;
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
        std::size_t width = table.columns[i].size();
        bool numbers = !table.rows.empty();
        for (const auto& row : table.rows) {
            width = std::max(width, plain(row[i]).size());
            numbers = numbers && is_number(row[i]);
        }
        widths.push_back(width);
        to_the_right.push_back(numbers);
    }
    append_line(out, table.columns, widths, to_the_right);
    for (const auto& row : table.rows) {
        std::vector<std::string> cells;
        for (const auto& value : row) cells.push_back(plain(value));
        append_line(out, cells, widths, to_the_right);
    }
}

std::string json_row(const Report::Table& table, const Report::Row& row) {
    std::string out = "{";
    for (std::size_t i = 0; i < row.size(); ++i) {
        if (i > 0) out += ", ";
        out += quoted(table.columns[i]) + ": " + json(row[i]);
    }
    return out + "}";
}

}  // namespace

std::string print_text(const Report& report) {
    std::string out;
    for (const auto& table : report.tables) {
        if (!out.empty()) out += '\n';
        if (table.single) {
            append_list(out, table);
        } else {
            append_table(out, table);
        }
    }
    return out;
}

std::string print_json(const Report& report) {
    std::string out = "{";
    for (const auto& table : report.tables) {
        if (out.size() > 1) out += ", ";
        out += quoted(table.name) + ": ";
        if (table.single) {
            out += json_row(table, table.rows[0]);
            continue;
        }
        out += '[';
        for (std::size_t i = 0; i < table.rows.size(); ++i) {
            if (i > 0) out += ", ";
            out += json_row(table, table.rows[i]);
        }
        out += ']';
    }
    return out + "}\n";
}

}  // namespace nlvs::daemon
