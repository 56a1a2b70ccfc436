#include "loaded_module.h"
#include "../memory.h"
#include "../occupancy.h"
#include "block.h"
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <sys/mman.h>

namespace spectral::cpu::ptx {
namespace {
// Zeroes memory of the heap. Whole pages are given back: they come anew, as zeros, where they are used, so that a
// variable of a gigabyte costs nothing until then.
void clear(unsigned char* bytes, size_t size) {
  constexpr uintptr_t kPage = 4096;
  const auto start = reinterpret_cast<uintptr_t>(bytes);
  const uintptr_t first = (start + kPage - 1) & ~(kPage - 1);
  const uintptr_t end = (start + size) & ~(kPage - 1);
  if (end <= first || madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED)) {
    std::memset(bytes, 0, size);
    return;
  }
  std::memset(bytes, 0, first - start);
  std::memset(reinterpret_cast<void*>(end), 0, start + size - end);
}
}   // namespace

LoadedModule::LoadedModule(std::unique_ptr<Module> module) : module_(std::move(module)) {
  place_variables();
  try {
    for (const auto& f : module_->functions)
      if (f->is_entry && f->has_body) {
        kernels_.push_back(build_program(*module_, *f, addresses_));
        kernels_.back()->registers = ptx::resources_of(*module_, f->name).registers;
      }
  } catch (...) {
    for (const auto& [variable, address] : addresses_)
      release(address, {MemoryKind::Device});
    throw;
  }
}
LoadedModule::~LoadedModule() {
  for (const auto& [variable, address] : addresses_)
    release(address, {MemoryKind::Device});
}

namespace {
Resources resources_in(const std::string& text, const std::string& kernel) {
  const std::string mark = "\n// ptxas: " + kernel + " ";
  const size_t at = text.rfind(mark);
  Resources r;
  if (at == std::string::npos || std::sscanf(&text[at + mark.size()], "%3d %7d", &r.registers, &r.stack) != 2 ||
      r.registers < 0 || r.stack < 0)
    return {};
  return r;
}
}   // namespace
Resources resources_of(const Module& module, const std::string& kernel) {
  Resources r = resources_in(module.text, kernel);
  for (size_t i = 0; i < module.parts.size() && !r.registers; ++i)
    r = resources_in(module.parts[i]->text, kernel);
  return r;
}

void LoadedModule::place_variables() {
  for (const auto& v : module_->variables) {
    if (v->space != Space::Global && v->space != Space::Const)
      continue;
    uintptr_t address = 0;
    if (v->linkage == Linkage::Extern || allocate(std::max<size_t>(v->bytes, 1), MemoryKind::Device, &address)) {
      for (const auto& [variable, taken] : addresses_)
        release(taken, {MemoryKind::Device});
      throw PtxError(
          v->place,
          v->linkage == Linkage::Extern
              ? "variable '" + v->name + "' is extern, and no module that defines it is linked"
              : "no device memory for variable '" + v->name + "'");
    }
    addresses_[v.get()] = address;
    auto* bytes = reinterpret_cast<unsigned char*>(address);
    clear(bytes, v->bytes);
    std::copy_n(v->initial.begin(), std::min(v->initial.size(), v->bytes), bytes);
  }
  for (const auto& [variable, address] : addresses_)
    for (const AddressIn& a : variable->addresses) {
      const uint64_t base = a.function ? address_of(*a.function) : addresses_[a.variable];
      const uint64_t value = base + uint64_t(a.addend);
      std::memcpy(reinterpret_cast<unsigned char*>(address) + a.offset, &value, sizeof value);
    }
}

const Variable* LoadedModule::find_variable(std::string_view name, CUdeviceptr* address) const {
  for (const auto& [variable, at] : addresses_)
    if (variable->name == name) {
      *address = at;
      return variable;
    }
  return nullptr;
}

bool looks_like_text(const void* image) {
  const auto* c = static_cast<const unsigned char*>(image);
  while (*c == ' ' || *c == '\t' || *c == '\r' || *c == '\n')
    ++c;
  return *c == '.' || *c == '/';   // a directive or a comment
}

namespace {
struct CountedLaunch {   // made text where somebody asks: that would cost more than a small kernel
  std::string kernel;
  std::vector<CounterLine> lines;
};
std::mutex counted_mutex;
std::vector<CountedLaunch> counted;
}   // namespace
std::string counted_launches() {
  std::lock_guard lock(counted_mutex);
  std::string text;
  for (const CountedLaunch& launch : counted) {
    text.append("kernel ").append(launch.kernel).append("\n");
    for (const CounterLine& line : launch.lines)
      text.append(line.name).append(line.rest).append(" ").append(std::to_string(line.value)).append("\n");
  }
  return text;
}
void forget_counted_launches() {
  std::lock_guard lock(counted_mutex);
  counted.clear();
}

namespace {
constexpr size_t kMostLines = 80;   // of a usual launch
CUresult run_counted(PtxLaunch& l) {
  const Program& program = *l.program;
  const auto cluster = unsigned(count_of(l.shape.cluster));
  const int resident = resident_blocks(counted_profile(), int(l.threads()), program.registers, l.shared_bytes());
  const uint64_t at_once = uint64_t(options.count) * uint64_t(std::max(1, resident)) / cluster;
  Counters counters;
  ReuseDistances reuse(l.clusters(), at_once, l.parameters, program.parameter_bytes);
  l.counters = &counters;
  l.reuse = &reuse;
  const CUresult status = run(l);
  CountedLaunch launch{program.name, {}};
  launch.lines.reserve(kMostLines);
  launch.lines.assign({
      {"blocks", "", int64_t(count_of(l.shape.grid))},
      {"threads", "", int64_t(l.threads())},
      {"cluster", "", int64_t(cluster)},
      {"shared_bytes", "", int64_t(l.shared_bytes())},
      {"registers", "", int64_t(program.registers)},
  });
  counters.append_to(launch.lines);
  reuse.append_to(launch.lines, counters.global_read.touched, counters.global_write.touched);
  std::lock_guard lock(counted_mutex);
  counted.push_back(std::move(launch));
  return status;
}
}   // namespace

CUresult launch(
    const Program& program, const LaunchShape& shape, DeviceHeap& heap, const unsigned char* parameters,
    std::string* reason) {
  PtxLaunch l{&program, parameters, shape, &heap};
  const CUresult status = options.count ? run_counted(l) : run(l);
  *reason = std::move(l.reason);
  return status;
}
}   // namespace spectral::cpu::ptx
