// A source of ordinary weight for a C++ compiler: containers, streams and regular expressions.
// It counts the words of its input by length and prints the most frequent ones of each length.
#include <algorithm>
#include <iostream>
#include <map>
#include <regex>
#include <string>
#include <vector>

namespace {

using Counts = std::map<std::string, unsigned>;
using Count = std::pair<std::string, unsigned>;

Counts count_words(std::istream& in) {
    static const std::regex word("[[:alpha:]]+('[[:alpha:]]+)?");
    Counts counts;
    for (std::string line; std::getline(in, line);) {
        const std::sregex_iterator end;
        for (std::sregex_iterator it(line.begin(), line.end(), word); it != end; ++it) {
            std::string text = it->str();
            std::transform(text.begin(), text.end(), text.begin(), ::tolower);
            ++counts[text];
        }
    }
    return counts;
}

std::map<std::size_t, std::vector<Count>> by_length(const Counts& counts) {
    std::map<std::size_t, std::vector<Count>> lengths;
    for (const auto& entry : counts) {
        lengths[entry.first.size()].emplace_back(entry);
    }
    for (auto& [length, entries] : lengths) {
        std::stable_sort(entries.begin(), entries.end(),
                         [](const auto& a, const auto& b) { return a.second > b.second; });
    }
    return lengths;
}

}  // namespace

int main() {
    for (const auto& [length, entries] : by_length(count_words(std::cin))) {
        std::cout << length << ':';
        for (std::size_t i = 0; i < std::min<std::size_t>(entries.size(), 5); ++i) {
            std::cout << ' ' << entries[i].first << '=' << entries[i].second;
        }
        std::cout << '\n';
    }
}
