// What is said of a launch that fails: where, and of a deadlock what each group of lanes waits for.
#include "../mbarrier.h"
#include "block.h"
#include <cstdarg>
#include <cstdio>

namespace spectral::cpu::ptx {
namespace {
std::string place_of(const Warp& w, const Step& s, int lane) {
  Warp& warp = const_cast<Warp&>(w);
  const Block& block = warp.block();
  const Program& program = w.program();
  char text[160];
  std::snprintf(
      text,
      sizeof text,
      ", block (%u,%u,%u), thread %u at PTX line %u",
      block.index.x,
      block.index.y,
      block.index.z,
      w.index() * 32 + unsigned(lane),
      s.line);
  std::string place = "kernel " + program.name + text;
  const SourceLine source = program.sources[size_t(&s - program.steps.data())];
  if (const auto file = program.module->files.find(source.file); source.line && file != program.module->files.end())
    place += " (" + file->second + ":" + std::to_string(source.line) + ")";
  return place;
}
std::string formatted(const char* format, va_list values) {
  char text[512];
  std::vsnprintf(text, sizeof text, format, values);
  return text;
}
}   // namespace

void fail(const Warp& w, const Step& s, const char* format, ...) {
  va_list values;
  va_start(values, format);
  const std::string message = formatted(format, values);
  va_end(values);
  const int lane = w.mask ? std::countr_zero(w.mask) : 0;
  throw Fault{CUDA_ERROR_LAUNCH_FAILED, place_of(w, s, lane) + ": " + message};
}
void fail_access(CUresult status, const Warp& w, const Step& s, unsigned lane, const char* format, ...) {
  va_list values;
  va_start(values, format);
  const std::string message = formatted(format, values);
  va_end(values);
  throw Fault{status, place_of(w, s, int(lane)) + ": " + message};
}

// ---- deadlocks
std::string Cluster::describe(const Block& block, const Group& g) {
  char text[160];
  switch (g.wait) {
    case Wait::Lanes: std::snprintf(text, sizeof text, "the other lanes of %08x", g.wanted); break;
    case Wait::Barrier: {
      const NamedBarrier& b = block.barriers[g.what];
      const unsigned needed = b.expected ? b.expected : 32 * block.live_warps;
      std::snprintf(text, sizeof text, "barrier %u (%u of %u threads arrived)", unsigned(g.what), b.arrived, needed);
      break;
    }
    case Wait::Phase: {
      const Mbar m(*reinterpret_cast<const uint64_t*>(g.what));
      std::snprintf(
          text,
          sizeof text,
          "the mbarrier at shared offset %u (arrivals still due %u of %u, bytes still due %d)",
          unsigned(g.what - reinterpret_cast<uint64_t>(block.shared)),
          m.pending,
          m.count,
          m.tx);
      break;
    }
    case Wait::Cluster: return "the cluster's barrier";
    case Wait::Warpgroup: return "the other warps of its warpgroup";
    case Wait::None: return "nothing";
  }
  return text;
}
void Cluster::deadlock() {
  std::string text = "kernel " + program_.name + ", block (" + std::to_string(blocks[0].index.x) + "," +
                     std::to_string(blocks[0].index.y) + "," + std::to_string(blocks[0].index.z) +
                     "): deadlock, every live thread waits:";
  constexpr size_t kShown = 40;
  size_t shown = 0;
  for (Block& block : blocks)
    for (Warp& w : block.warps)
      for (const Group& g : w.waiting()) {
        if (++shown > kShown)
          continue;
        const uint32_t pc = g.wait == Wait::Lanes || g.wait == Wait::Phase ? g.pc : g.pc - 1;
        const Step& s = program_.steps[pc];
        char line[200];
        std::snprintf(line, sizeof line, "\n  warp %u, lanes %08x, at PTX line %u on ", w.index(), g.lanes, s.line);
        text += blocks.size() > 1 ? std::string(line).insert(2, " block " + std::to_string(block.rank)) : line;
        text += describe(block, g);
      }
  if (shown > kShown)
    text += "\n  and " + std::to_string(shown - kShown) + " more";
  throw Fault{CUDA_ERROR_LAUNCH_FAILED, text};
}
}   // namespace spectral::cpu::ptx
