// The table of allocations and its guard zones.
#include "memory.h"
#include "advice.h"
#include "driver.h"
#include "profiles.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <sys/mman.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace spectral::cpu {
namespace {
constexpr size_t kAlign = 256;
constexpr size_t kHugePage = size_t(2) << 20;
constexpr size_t kGuard = 4096;
constexpr unsigned char kGuardByte = 0xA5;
constexpr unsigned char kPoisonByte = 0xCD;
std::mutex mutex;
std::map<uintptr_t, Allocation> table;   // by start
unsigned long allocated = 0;
size_t device_bytes = 0;   // in device and managed memory

#ifdef __SANITIZE_ADDRESS__
void protect(const Allocation& a) {
  __asan_poison_memory_region(reinterpret_cast<void*>(a.start - a.guard), a.guard);
  __asan_poison_memory_region(reinterpret_cast<void*>(a.start + a.size), a.guard);
}
void unprotect(const Allocation& a) {
  __asan_unpoison_memory_region(reinterpret_cast<void*>(a.start - a.guard), a.size + 2 * a.guard);
}
#else
void protect(const Allocation&) {}
void unprotect(const Allocation&) {}
#endif

// The first damaged guard byte as an offset from the start of the allocation, or 0 (which no guard byte has).
ptrdiff_t damage(const Allocation& a) {
  auto* p = reinterpret_cast<const unsigned char*>(a.start);
  unprotect(a);
  ptrdiff_t found = 0;
  for (ptrdiff_t i = 0; i < ptrdiff_t(a.guard) && !found; ++i) {
    if (p[a.size + size_t(i)] != kGuardByte)
      found = ptrdiff_t(a.size) + i;
    if (p[-1 - i] != kGuardByte)
      found = -1 - i;
  }
  protect(a);
  return found;
}
CUresult verify(const Allocation& a) {
  if (!a.guard)
    return CUDA_SUCCESS;
  const ptrdiff_t at = damage(a);
  if (!at)
    return CUDA_SUCCESS;
  char text[200];
  std::snprintf(
      text,
      sizeof text,
      "guard zone written: allocation %lu of %zu bytes at %p, first damaged byte at offset %td (%s it)",
      a.number,
      a.size,
      reinterpret_cast<void*>(a.start),
      at,
      at < 0 ? "before" : "behind");
  if (a.context)
    return fail_context(a.context, CUDA_ERROR_LAUNCH_FAILED, text);
  set_error(text);
  return CUDA_ERROR_LAUNCH_FAILED;
}
bool takes_device_memory(MemoryKind kind) {
  return kind == MemoryKind::Device || kind == MemoryKind::Managed || kind == MemoryKind::Heap;
}
void give_back(const Allocation& a) {
  if (takes_device_memory(a.kind))
    device_bytes -= a.size;
  unprotect(a);
  std::free(a.base);
}
size_t read_number(const char* file, const char* format, size_t missing) {
  size_t value = missing;
  if (FILE* f = std::fopen(file, "r")) {
    for (char line[128]; std::fgets(line, sizeof line, f);)
      if (std::sscanf(line, format, &value) == 1)
        break;
    std::fclose(f);
  }
  return value;
}
}   // namespace

HostMemory host_memory() {
  const size_t total = read_number("/proc/meminfo", "MemTotal: %zu", 0) << 10;
  const size_t available = read_number("/proc/meminfo", "MemAvailable: %zu", 0) << 10;
  const size_t limit = read_number("/sys/fs/cgroup/memory.max", "%zu", SIZE_MAX);
  const size_t used = limit == SIZE_MAX ? 0 : read_number("/sys/fs/cgroup/memory.current", "%zu", 0);
  return {std::min(total, limit), std::min(available, limit > used ? limit - used : 0)};
}

// What the option and the profile leave of the machine's memory.
static size_t memory_limit() {
  const size_t asked = options.memory > 0 ? size_t(options.memory) : SIZE_MAX;
  const size_t sold = profile().memory_bytes ? profile().memory_bytes : SIZE_MAX;
  return std::min(asked, sold);
}
HostMemory device_memory() {
  const HostMemory host = host_memory();
  const size_t limit = memory_limit();
  if (limit == SIZE_MAX)
    return host;
  std::lock_guard l(mutex);
  return {std::min(host.total, limit), std::min(host.available, limit > device_bytes ? limit - device_bytes : 0)};
}

CUresult allocate(size_t size, MemoryKind kind, uintptr_t* start, unsigned flags, CUmemoryPool pool) {
  if (!size)
    return CUDA_ERROR_INVALID_VALUE;
  const size_t guard = options.check ? kGuard : 0;
  if (size > SIZE_MAX / 2)
    return CUDA_ERROR_OUT_OF_MEMORY;
  // The system promises more than it has: ask before a large allocation.
  const bool large = size >= (size_t(64) << 20);
  const bool on_device = takes_device_memory(kind);
  const bool limited = memory_limit() != SIZE_MAX && on_device;
  if ((large || limited) && size > (on_device ? device_memory() : host_memory()).available)
    return CUDA_ERROR_OUT_OF_MEMORY;
  const size_t align = size >= 4 * kHugePage ? kHugePage : kAlign;
  void* base = nullptr;
  if (posix_memalign(&base, align, size + 2 * guard))
    return CUDA_ERROR_OUT_OF_MEMORY;
  if (align == kHugePage)
    madvise(base, size + 2 * guard, MADV_HUGEPAGE);
  auto* p = static_cast<unsigned char*>(base) + guard;
  std::memset(p - guard, kGuardByte, guard);
  std::memset(p + size, kGuardByte, guard);
  if (options.poison)
    std::memset(p, kPoisonByte, size);
  std::lock_guard l(mutex);
  Allocation a{
      reinterpret_cast<uintptr_t>(p), size, current_context(), base, guard, kind, flags, pool, false, ++allocated};
  protect(a);
  if (on_device)
    device_bytes += size;
  table[a.start] = a;
  *start = a.start;
  return CUDA_SUCCESS;
}
CUresult register_memory(uintptr_t start, size_t size, unsigned flags) {
  std::lock_guard l(mutex);
  auto next = table.lower_bound(start);
  const bool meets_next = next != table.end() && next->first - start < size;
  const bool meets_last = next != table.begin() && start - std::prev(next)->first < std::prev(next)->second.size;
  if (meets_next || meets_last)
    return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  table[start] = {
      start, size, current_context(), nullptr, 0, MemoryKind::Registered, flags, nullptr, false, ++allocated};
  return CUDA_SUCCESS;
}
CUresult release(uintptr_t start, std::initializer_list<MemoryKind> kinds) {
  std::lock_guard l(mutex);
  auto it = table.find(start);
  if (it == table.end() || std::find(kinds.begin(), kinds.end(), it->second.kind) == kinds.end())
    return CUDA_ERROR_INVALID_VALUE;
  const CUresult status = verify(it->second);
  give_back(it->second);
  table.erase(it);
  return status;
}
bool find_allocation(uintptr_t address, Allocation* found) {
  std::lock_guard l(mutex);
  auto it = table.upper_bound(address);
  if (it == table.begin())
    return false;
  const Allocation& a = (--it)->second;
  if (address - a.start >= a.size)
    return false;
  *found = a;
  return true;
}
bool set_synchronous(uintptr_t address, bool on) {
  std::lock_guard l(mutex);
  auto it = table.upper_bound(address);
  if (it == table.begin() || address - std::prev(it)->first >= std::prev(it)->second.size)
    return false;
  std::prev(it)->second.synchronous = on;
  return true;
}
std::shared_ptr<Advice> advice_at(uintptr_t address) {
  std::lock_guard l(mutex);
  auto it = table.upper_bound(address);
  if (it == table.begin() || address - std::prev(it)->first >= std::prev(it)->second.size)
    return nullptr;
  Allocation& a = std::prev(it)->second;
  if (!a.advice)
    a.advice = std::make_shared<Advice>(a.start, a.start + a.size);
  return a.advice;
}
size_t bytes_in_pool(CUmemoryPool pool) {
  std::lock_guard l(mutex);
  size_t bytes = 0;
  for (const auto& [start, a] : table)
    if (a.pool == pool)
      bytes += a.size;
  return bytes;
}
void forget_pool(CUmemoryPool pool) {
  std::lock_guard l(mutex);
  for (auto& [start, a] : table)
    if (a.pool == pool)
      a.pool = nullptr;
}
bool inside_allocation(uintptr_t start, size_t size) {
  Allocation a;
  return find_allocation(start, &a) && size <= a.size - (start - a.start);
}
void free_memory(CUcontext c) {
  std::lock_guard l(mutex);
  for (auto it = table.begin(); it != table.end();) {
    if (it->second.context != c) {
      ++it;
      continue;
    }
    give_back(it->second);
    it = table.erase(it);
  }
}
CUresult verify_guards() {
  if (!options.check)
    return CUDA_SUCCESS;
  std::lock_guard l(mutex);
  for (const auto& [start, a] : table)
    SPECTRAL_TRY(verify(a));
  return CUDA_SUCCESS;
}
}   // namespace spectral::cpu
