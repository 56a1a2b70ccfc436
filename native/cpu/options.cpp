// Settings and the last error text.
#include "options.h"
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <mutex>

namespace spectral::cpu {
Options options;
namespace {
struct Entry {
  const char* name;
  long Options::*field;
};
constexpr Entry kEntries[] = {
    {"threads", &Options::threads},
    {"seed", &Options::seed},
    {"eager", &Options::eager},
    {"poison", &Options::poison},
    {"memory", &Options::memory},
    {"check", &Options::check}};
std::mutex error_mutex;
std::string error_text;
}   // namespace

void read_environment() {
  for (const Entry& e : kEntries) {
    std::string variable = "SPECTRAL_CPU_";
    for (const char* c = e.name; *c; ++c)
      variable += char(std::toupper(*c));
    if (const char* value = std::getenv(variable.c_str()))
      options.*e.field = std::atol(value);
  }
}
bool set_option(const char* name, long value) {
  for (const Entry& e : kEntries)
    if (!std::strcmp(e.name, name))
      return options.*e.field = value, true;
  return false;
}

void set_error(const std::string& text) {
  std::lock_guard lock(error_mutex);
  error_text = text;
}
std::string last_error() {
  std::lock_guard lock(error_mutex);
  return error_text;
}
}   // namespace spectral::cpu
