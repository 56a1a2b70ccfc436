// The logs that a caller of the just-in-time compiler gives room for.
#pragma once
#include "loader_api.h"
#include <string>

namespace spectral::cpu {
// As much of s as there is room for; returns its whole length.
int copy_text(const std::string& s, char* text, size_t size);
// Writes the reason for an error into the log that the options name, and its length over the log's size. There is no
// information about what succeeds.
void write_logs(const std::string& error, unsigned count, const CUjit_option* options, void** values);
}   // namespace spectral::cpu
