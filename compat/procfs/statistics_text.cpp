#include "compat/procfs/statistics_text.hpp"

#include "compat/procfs/text.hpp"

namespace nlvs::procfs {

namespace {

/// Totals and rates have the same five columns: "%8X %8X %8X %16X %16X".
template <class Columns>
void append_columns(std::string& out, const Columns& columns) {
    append_hex(out, columns.connections, 8, ' ');
    out += ' ';
    append_hex(out, columns.in_packets, 8, ' ');
    out += ' ';
    append_hex(out, columns.out_packets, 8, ' ');
    out += ' ';
    append_hex(out, columns.in_bytes, 16, ' ');
    out += ' ';
    append_hex(out, columns.out_bytes, 16, ' ');
    out += '\n';
}

}  // namespace

std::string statistics_text(const ipvs::Statistics& statistics) {
    std::string out =
        "   Total Incoming Outgoing         Incoming         Outgoing\n"
        "   Conns  Packets  Packets            Bytes            Bytes\n";
    append_columns(out, statistics.totals);
    out += "\n Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n";
    append_columns(out, statistics.rates);
    return out;
}

std::string statistics_per_cpu_text(
    std::span<const ipvs::Totals> processors, const ipvs::Statistics& statistics
) {
    std::string out =
        "       Total Incoming Outgoing         Incoming         Outgoing\n"
        "CPU    Conns  Packets  Packets            Bytes            Bytes\n";
    for (std::size_t number = 0; number < processors.size(); ++number) {
        append_hex(out, number, 3, ' ');
        out += ' ';
        append_columns(out, processors[number]);
    }
    out += "  ~ ";
    append_columns(out, statistics.totals);
    out += "\n     Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n    ";
    append_columns(out, statistics.rates);
    return out;
}

}  // namespace nlvs::procfs
