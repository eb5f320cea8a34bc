#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace nlvs::daemon {

/// What nlvsctl shows: tables of named values, for people or for programs.
struct Report {
    using Value = std::variant<std::string, std::uint64_t, double, bool>;
    using Row = std::vector<Value>;

    struct Table {
        std::string name;
        std::vector<std::string> columns;
        std::vector<Row> rows;  ///< each as long as `columns`
        bool single = false;    ///< exactly one row, shown as a list of names and values
    };

    std::vector<Table> tables;
};

/// Columns aligned, numbers to the right, every line ended.
std::string print_text(const Report& report);

/// One JSON object: a table is an array of objects, a single one an object.
std::string print_json(const Report& report);

}  // namespace nlvs::daemon
