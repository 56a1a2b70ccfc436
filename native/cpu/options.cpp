// Settings, and the reasons for errors.
#include "options.h"
#include <cctype>
#include <cstdlib>
#include <cstring>

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
    {"count", &Options::count},
    {"check", &Options::check}};
// Of each thread, so that the calls of others do not take it away.
thread_local std::string* reason = nullptr;   // a pointer: thread-locals of this library must stay small
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
    if (!std::strcmp(e.name, name)) {
      options.*e.field = value;
      return true;
    }
  return false;
}

void set_error(const std::string& text) {
  if (!reason)
    reason = new std::string;
  *reason = text;
}
void clear_error() {
  if (reason)
    reason->clear();
}
const char* last_error() { return reason ? reason->c_str() : ""; }
}   // namespace spectral::cpu
