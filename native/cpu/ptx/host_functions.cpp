// CUDA C++ Programming Guide, "Formatted Output", "Assertion" and "Dynamic Global Memory Allocation", for the calls
// that nvcc makes of them.
#include "host_functions.h"
#include "access.h"
#include <algorithm>
#include <cstring>
#include <cstdio>
#include <string>

namespace spectral::cpu::ptx {
namespace {
// Bytes of any space, by their generic address; a fault where they may not be read.
void read_generic(Warp& w, const Step& s, int lane, uint64_t address, void* to, unsigned bytes) {
  const uint32_t mask = w.mask;
  w.mask = 1u << lane;
  uint64_t at[32];
  std::fill(std::begin(at), std::end(at), address);
  locate_generic(w, s, at, bytes);
  std::memcpy(to, reinterpret_cast<const void*>(at[lane]), bytes);
  w.mask = mask;
}
std::string read_text(Warp& w, const Step& s, int lane, uint64_t address) {
  constexpr size_t kMost = size_t(1) << 20;
  std::string text;
  for (char c; text.size() < kMost; text += c) {
    read_generic(w, s, lane, address + text.size(), &c, 1);
    if (!c)
      break;
  }
  return text;
}
template <class T>
T argument(Warp& w, const Step& s, int lane, size_t index) {
  const Transfer& t = w.program().calls[size_t(s.value)].arguments[index];
  T value{};
  const unsigned char* local = w.local + w.program().local_stride * unsigned(lane) + w.lanes<uint64_t>(s.b)[lane];
  std::memcpy(&value, local + t.caller, std::min(sizeof value, t.bytes));
  return value;
}
template <class T>
void return_value(Warp& w, const Step& s, int lane, T value) {
  unsigned char* local = w.local + w.program().local_stride * unsigned(lane) + w.lanes<uint64_t>(s.b)[lane];
  for (const Transfer& t : w.program().calls[size_t(s.value)].results)
    std::memcpy(local + t.caller, &value, std::min(sizeof value, t.bytes));
}

// printf's arguments, as C passes them to "...": 4 or 8 bytes each, at a multiple of their size.
class Values {
 public:
  Values(Warp& w, const Step& s, int lane, uint64_t at) : w_(w), s_(s), lane_(lane), at_(at) {}
  template <class T>
  T next() {
    at_ = (at_ + sizeof(T) - 1) / sizeof(T) * sizeof(T);
    T value;
    read_generic(w_, s_, lane_, at_, &value, sizeof value);
    at_ += sizeof value;
    return value;
  }

 private:
  Warp& w_;
  const Step& s_;
  int lane_;
  uint64_t at_;
};
template <class T>
void append(std::string& out, const std::string& format, T value) {
  const int size = std::snprintf(nullptr, 0, format.c_str(), value);
  std::string text(size_t(std::max(size, 0)) + 1, '\0');
  std::snprintf(text.data(), text.size(), format.c_str(), value);
  out.append(text, 0, text.size() - 1);
}
// One conversion, from its % to its letter. Integers have 8 bytes with l, ll, j, z or t, else 4.
void append_value(std::string& out, std::string conversion, Values& values, Warp& w, const Step& s, int lane) {
  const char letter = conversion.back();
  const bool wide = conversion.find_first_of("ljzt") != std::string::npos;
  std::erase_if(conversion, [](char c) { return std::strchr("hljzt", c) != nullptr; });
  for (size_t star; (star = conversion.find('*')) != std::string::npos;)
    conversion.replace(star, 1, std::to_string(values.next<int>()));
  switch (letter) {
    case 'd':
    case 'i':
    case 'u':
    case 'o':
    case 'x':
    case 'X':
      if (!wide)
        return append(out, conversion, values.next<int>());
      return append(out, conversion.insert(conversion.size() - 1, "ll"), values.next<long long>());
    case 'c': return append(out, conversion, values.next<int>());
    case 'p': return append(out, conversion, reinterpret_cast<void*>(values.next<uint64_t>()));
    case 's': return append(out, conversion, read_text(w, s, lane, values.next<uint64_t>()).c_str());
    default: return append(out, conversion, values.next<double>());   // e f g a
  }
}
std::string formatted(Warp& w, const Step& s, int lane, const std::string& format, Values& values) {
  constexpr const char* kLetters = "diouxXcpsaAeEfFgG";
  std::string out;
  for (size_t at = 0; at < format.size();) {
    const size_t percent = std::min(format.find('%', at), format.size());
    out.append(format, at, percent - at);
    at = percent;
    if (at + 1 < format.size() && format[at + 1] == '%') {
      out += '%';
      at += 2;
      continue;
    }
    const size_t letter = format.find_first_of(kLetters, at);
    const size_t end = format.find_first_not_of("-+ #0123456789.*hljztdiouxXcpsaAeEfFgG", at + 1);
    if (letter == std::string::npos || letter > end) {   // no conversion: as it stands
      out.append(format, at, std::string::npos);
      break;
    }
    append_value(out, format.substr(at, letter + 1 - at), values, w, s, lane);
    at = letter + 1;
  }
  return out;
}

// (format, arguments): prints at once, a lane after another.
void print(Warp& w, const Step& s) {
  each_lane(w.mask, [&](int k) {
    const auto format = argument<uint64_t>(w, s, k, 0);
    Values values(w, s, k, argument<uint64_t>(w, s, k, 1));
    const std::string text = formatted(w, s, k, read_text(w, s, k, format), values);
    std::fwrite(text.data(), 1, text.size(), stdout);
    return_value(w, s, k, int(text.size()));
  });
  std::fflush(stdout);
}
// (condition, file, line, function, size of a character)
void fail_assertion(Warp& w, const Step& s) {
  const int lane = std::countr_zero(w.mask);
  auto text = [&](size_t index) { return read_text(w, s, lane, argument<uint64_t>(w, s, lane, index)); };
  fail_access(
      CUDA_ERROR_ASSERT,
      w,
      s,
      unsigned(lane),
      "%s:%u: %s: assertion `%s` failed",
      text(1).c_str(),
      argument<uint32_t>(w, s, lane, 2),
      text(3).c_str(),
      text(0).c_str());
}
// (size): an address, or 0
void take_memory(Warp& w, const Step& s) {
  DeviceHeap& heap = *w.block().launch().heap;
  each_lane(w.mask, [&](int k) { return_value(w, s, k, heap.take(argument<uint64_t>(w, s, k, 0))); });
}
// (address)
void free_memory(Warp& w, const Step& s) {
  DeviceHeap& heap = *w.block().launch().heap;
  each_lane(w.mask, [&](int k) {
    const auto address = argument<uint64_t>(w, s, k, 0);
    if (address && !heap.give_back(address))
      fail_access(
          CUDA_ERROR_LAUNCH_FAILED,
          w,
          s,
          unsigned(k),
          "frees address 0x%llx, which malloc has not given",
          static_cast<unsigned long long>(address));
  });
}
struct HostFunction {
  const char* name;
  size_t results, parameters;
  Run run;
};
constexpr HostFunction kFunctions[] = {
    {"vprintf", 1, 2, &print},
    {"__assertfail", 0, 5, &fail_assertion},
    {"malloc", 1, 1, &take_memory},
    {"free", 0, 1, &free_memory}};
}   // namespace

Run find_host_function(const Function& f) {
  for (const HostFunction& known : kFunctions)
    if (f.name == known.name && f.results.size() == known.results && f.parameters.size() == known.parameters)
      return known.run;
  return nullptr;
}
bool uses_heap(const Function& f) {
  const Run run = find_host_function(f);
  return run == &take_memory || run == &free_memory;
}
}   // namespace spectral::cpu::ptx
