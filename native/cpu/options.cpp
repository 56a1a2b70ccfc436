// Settings, and the reasons for errors.
#include "options.h"
#include "profiles.h"
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <memory>

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
    {"profile", &Options::profile},
    {"async", &Options::async},
    {"count", &Options::count},
    {"onednn", &Options::onednn},
    {"check", &Options::check}};
// Of each thread, so that the calls of others do not take it away.
thread_local std::unique_ptr<std::string> reason;   // a pointer: thread-locals of this library must stay small
}   // namespace

bool read_environment() {
  for (const Entry& e : kEntries) {
    std::string variable = "SPECTRAL_CPU_";
    for (const char* c = e.name; *c; ++c)
      variable += char(std::toupper(*c));
    const char* value = std::getenv(variable.c_str());
    if (!value)
      continue;
    const bool by_name = e.field == &Options::profile;
    if (!set_option(e.name, by_name ? find_profile(value) : std::atol(value))) {
      set_error(variable + " is '" + value + "', expected " + profile_names());
      return false;
    }
  }
  return true;
}
bool set_option(const char* name, long value) {
  for (const Entry& e : kEntries)
    if (!std::strcmp(e.name, name)) {
      if (e.field == &Options::profile && !has_profile(value))
        return false;
      options.*e.field = value;
      return true;
    }
  return false;
}
long get_option(const char* name) {
  for (const Entry& e : kEntries)
    if (!std::strcmp(e.name, name))
      return options.*e.field;
  return -1;
}

void set_error(const std::string& text) {
  if (!reason)
    reason = std::make_unique<std::string>();
  *reason = text;
}
void clear_error() {
  if (reason)
    reason->clear();
}
const char* last_error() { return reason ? reason->c_str() : ""; }
}   // namespace spectral::cpu
