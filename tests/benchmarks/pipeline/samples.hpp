#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace nlvs::bench {

/// Measurements of one thing. The median is what a shared machine spoils least.
class Samples {
public:
    void add(double value) { values_.push_back(value); }

    /// 0 is the least, 0.5 the median, 1 the greatest.
    double quantile(double part) {
        if (values_.empty()) return 0;
        const auto at = static_cast<std::size_t>(part * static_cast<double>(values_.size() - 1));
        std::ranges::nth_element(values_, values_.begin() + static_cast<std::ptrdiff_t>(at));
        return values_[at];
    }

    double median() { return quantile(0.5); }

    std::size_t size() const noexcept { return values_.size(); }

private:
    std::vector<double> values_;
};

}  // namespace nlvs::bench
