#include "block.h"
#include "../mbarrier.h"
#include "../memory.h"
#include "../pool.h"
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>

namespace spectral::cpu::ptx {
namespace {
unsigned char* take_memory(size_t bytes) {
  void* p = std::aligned_alloc(1024, round_up(std::max<size_t>(bytes, 1), 1024));
  if (!p)
    throw Fault{CUDA_ERROR_OUT_OF_MEMORY, "no memory for the blocks of a launch"};
  return static_cast<unsigned char*>(p);
}

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

// ---- blocks
const PtxLaunch& Block::launch() const { return cluster->launch(); }

void Block::start(Cluster& of, uint3 where, unsigned place) {
  cluster = &of;
  index = where;
  rank = place;
  for (NamedBarrier& b : barriers)
    b = {};
  for (WarpAsync& a : async)
    a.clear();
  for (WarpgroupAsync& g : groups)
    g.clear(of.launch().program->accumulators);
  writes.writer.clear();
  writes.inits.clear();
  writes.readers.clear();
  live_warps = unsigned(warps.size());
}

bool Block::arrive(Warp& w, const Step& s, unsigned id, unsigned count) {
  NamedBarrier& b = barriers[id];
  if (count % 32)
    fail(w, s, "barrier %u waits for %u threads: a barrier counts whole warps of 32", id, count);
  if (b.arrived && b.expected != count)
    fail(w, s, "barrier %u: those waiting expect %u threads, here %u", id, b.expected, count);
  b.expected = count;
  b.arrived += 32;
  if (w.chain)
    b.clock = std::max(b.clock, w.chain->arrival());
  const unsigned needed = count ? count : 32 * live_warps;
  if (b.arrived > needed)
    fail(w, s, "barrier %u: %u threads arrive where %u are expected", id, b.arrived, needed);
  if (b.arrived < needed)
    return false;
  release(id);
  return true;
}
void Block::release(unsigned id) {
  NamedBarrier& b = barriers[id];
  b.arrived = 0;
  b.result_yes = b.yes;
  b.result_all = b.all;
  b.yes = 0;
  b.all = true;
  if (counters_) {
    ++counters_->barriers;
    for (Warp& w : warps)
      for (const Group& g : w.waiting())
        if (g.wait == Wait::Barrier && g.what == id)
          w.chain->wait_for(b.clock);
  }
  cluster->wake(*this, Wait::Barrier, id);
}
void Block::warp_ended() {
  --live_warps;
  for (unsigned id = 0; id < std::size(barriers); ++id)
    if (barriers[id].arrived && !barriers[id].expected && barriers[id].arrived == 32 * live_warps)
      release(id);
}

// ---- clusters
Cluster::Cluster(PtxLaunch& launch) : launch_(launch), program_(*launch.program) {
  const auto size = unsigned(count_of(launch.shape.cluster));
  warps_per_block_ = (launch.threads() + 31) / 32;
  const unsigned warps = warps_per_block_ * size;
  shared_bytes = launch.shared_bytes();
  shared_stride_ = round_up(shared_bytes, 1024) + 1024;
  warp_bytes_ = round_up(program_.register_bytes + program_.predicates * sizeof(uint32_t), kUnit);
  registers_ = take_memory(warp_bytes_ * warps);
  shared_ = take_memory(shared_stride_ * size);
  local_ = take_memory(program_.local_stride * 32 * warps);
  blocks = std::vector<Block>(size);
  for (Block& block : blocks) {
    block.warps.resize(warps_per_block_);
    block.async.resize(warps_per_block_);
    block.groups.resize((warps_per_block_ + 3) / 4);
    block.counters_ = launch.counters ? &counters_ : nullptr;
  }
  if (launch.counters)
    chains_.resize(warps, Chain(program_));
  for (unsigned i = 0; i < warps; ++i)
    for (const ConstantPlace& c : program_.constants)
      for (unsigned lane = 0; lane < 32; ++lane) {
        unsigned char* at = registers_ + warp_bytes_ * i + c.place;
        if (c.wide)
          std::memcpy(at + 8 * lane, &c.bits, 8);
        else
          std::memcpy(at + 4 * lane, &c.bits, 4);
      }
}
Cluster::~Cluster() {
  std::free(registers_);
  std::free(shared_);
  std::free(local_);
  if (launch_.counters) {
    static std::mutex mutex;
    std::lock_guard lock(mutex);
    launch_.counters->add(counters_);
  }
}

void Cluster::write_specials(Block& block, Warp& warp, unsigned char* registers) {
  const auto& [g, b, c, stated, dynamic_shared] = launch_.shape;
  for (const SpecialPlace& place : program_.specials) {
    auto* lanes = reinterpret_cast<uint32_t*>(registers + place.place);
    for (unsigned k = 0; k < 32; ++k) {
      const unsigned thread = warp.index() * 32 + k;
      auto value = [&]() -> uint32_t {
        switch (place.which) {
          case Special::TidX: return thread % b.x;
          case Special::TidY: return thread / b.x % b.y;
          case Special::TidZ: return thread / b.x / b.y;
          case Special::NtidX: return b.x;
          case Special::NtidY: return b.y;
          case Special::NtidZ: return b.z;
          case Special::CtaidX: return block.index.x;
          case Special::CtaidY: return block.index.y;
          case Special::CtaidZ: return block.index.z;
          case Special::NctaidX: return g.x;
          case Special::NctaidY: return g.y;
          case Special::NctaidZ: return g.z;
          case Special::LaneId: return k;
          case Special::WarpId: return warp.index();
          case Special::NWarpId: return warps_per_block_;
          case Special::SmId: return 0;
          case Special::NSmId: return 1;
          case Special::LanemaskEq: return 1u << k;
          case Special::LanemaskLt: return (1u << k) - 1;
          case Special::LanemaskLe: return (2u << k) - 1;
          case Special::LanemaskGt: return ~((2u << k) - 1);
          case Special::LanemaskGe: return ~((1u << k) - 1);
          case Special::ClusterIdX: return block.index.x / c.x;
          case Special::ClusterIdY: return block.index.y / c.y;
          case Special::ClusterIdZ: return block.index.z / c.z;
          case Special::NClusterIdX: return g.x / c.x;
          case Special::NClusterIdY: return g.y / c.y;
          case Special::NClusterIdZ: return g.z / c.z;
          case Special::ClusterCtaidX: return block.index.x % c.x;
          case Special::ClusterCtaidY: return block.index.y % c.y;
          case Special::ClusterCtaidZ: return block.index.z % c.z;
          case Special::ClusterNctaidX: return c.x;
          case Special::ClusterNctaidY: return c.y;
          case Special::ClusterNctaidZ: return c.z;
          case Special::ClusterCtarank: return block.rank;
          case Special::ClusterNctarank: return unsigned(blocks.size());
          case Special::IsExplicitCluster: return stated;
          case Special::DynamicSmemSize: return dynamic_shared;
          case Special::TotalSmemSize: return uint32_t(shared_bytes);
        }
        return 0;
      };
      lanes[k] = value();
    }
  }
}

void Cluster::start(uint64_t index) {
  constexpr unsigned char kPoison = 0xcd;
  const dim3 g = launch_.shape.grid;
  const dim3 c = launch_.shape.cluster;
  const uint64_t across = g.x / c.x;
  const uint64_t down = g.y / c.y;
  const unsigned threads = launch_.threads();
  cluster_arrived_ = 0;
  cluster_clock_ = 0;
  phases_.clear();
  queue_.clear();
  copies.soon.clear();
  copies.late.clear();
  if (options.seed)
    rng_ = uint32_t(uint64_t(options.seed) * 2654435761u + index * 40503u) | 1;
  for (unsigned r = 0; r < blocks.size(); ++r) {   // ranks count x first, then y
    Block& block = blocks[r];
    const uint3 where = {
        unsigned(index % across) * c.x + r % c.x,
        unsigned(index / across % down) * c.y + r / c.x % c.y,
        unsigned(index / across / down) * c.z + r / c.x / c.y};
    block.shared = shared_ + shared_stride_ * r;
    block.start(*this, where, r);
    if (options.poison)
      std::memset(block.shared, kPoison, shared_bytes);
    for (unsigned i = 0; i < warps_per_block_; ++i) {
      const unsigned number = r * warps_per_block_ + i;
      unsigned char* registers = registers_ + warp_bytes_ * number;
      if (options.poison)
        std::memset(registers + program_.fixed_bytes, kPoison, warp_bytes_ - program_.fixed_bytes);
      const unsigned lanes = std::min(32u, threads - 32 * i);
      Warp& warp = block.warps[i];
      if (!chains_.empty()) {
        warp.chain = &chains_[number];
        warp.chain->start();
      }
      warp.local = local_ + program_.local_stride * 32 * number;
      warp.start(block, program_, i, registers, lanes == 32 ? ~0u : (1u << lanes) - 1);
      write_specials(block, warp, registers);
      queue_.push_back(&warp);
    }
  }
  live_warps_ = unsigned(queue_.size());
}

Warp* Cluster::next_warp() {
  if (queue_.empty())
    return nullptr;
  if (options.seed)
    std::swap(queue_.front(), queue_[random() % queue_.size()]);
  Warp* w = queue_.front();
  queue_.pop_front();
  return w;
}
void Cluster::ready(Warp& w) { queue_.push_back(&w); }

void Cluster::run(uint64_t index) {
  start(index);
  unsigned fruitless = 0;   // turns in a row of warps that only look again and again
  while (live_warps_) {
    Warp* w = next_warp();
    if (!w) {
      if (!make_late_copy(*this))
        deadlock();
      continue;
    }
    w->queued = false;
    const Turn turn = w->run();
    fruitless = turn == Turn::Yields ? fruitless + 1 : 0;
    if (turn == Turn::Ended)
      end(*w);
    if (turn == Turn::Yields && !w->queued) {
      w->queued = true;
      ready(*w);
    }
    if (fruitless > 2 * live_warps_ && make_late_copy(*this))
      fruitless = 0;
    make_some_copies(*this);
  }
  finish_copies(*this);
  if (!chains_.empty())
    count_chains();
  if (launch_.reuse)
    launch_.reuse->add(index, counters_.take_runs());
}

void Cluster::count_chains() {
  for (size_t first = 0; first < chains_.size(); first += warps_per_block_) {
    uint64_t longest = 0;
    for (size_t i = first; i < first + warps_per_block_; ++i)
      longest = std::max(longest, chains_[i].end());
    counters_.chain_clocks += longest;
    counters_.longest_chain_clocks = std::max(counters_.longest_chain_clocks, longest);
  }
}
void Cluster::arrive_at_phase(const void* barrier, uint64_t clock) {
  if (launch_.counters)
    phases_[barrier].latest = std::max(phases_[barrier].latest, clock);
}
void Cluster::end_phase(const void* barrier, unsigned phase) {
  if (!launch_.counters)
    return;
  PhaseClocks& p = phases_[barrier];
  p.ends[phase] = p.latest;
  p.latest = 0;
}
uint64_t Cluster::end_of_phase(const void* barrier, unsigned phase) const {
  const auto found = phases_.find(barrier);
  return found == phases_.end() ? 0 : found->second.ends[phase];
}

void Cluster::end(Warp& w) {
  Block& block = w.block();
  finish_warp(w);
  --live_warps_;
  block.warp_ended();
  if (cluster_arrived_ && cluster_arrived_ == live_warps_)
    end_cluster_phase();
}

void Cluster::wake(Block& block, Wait wait, uint64_t what) {
  for (Warp& w : block.warps)
    if (w.wake(wait, what) && !w.queued) {
      w.queued = true;
      ready(w);
    }
}
void Cluster::wake(Wait wait, uint64_t what) {
  for (Block& block : blocks)
    wake(block, wait, what);
}

// ---- the cluster's barrier: warps arrive whole
void Cluster::arrive_at_cluster(Warp& w) {
  w.cluster_phase = cluster_phase_;
  if (w.chain)
    cluster_clock_ = std::max(cluster_clock_, w.chain->arrival());
  if (++cluster_arrived_ == live_warps_)
    end_cluster_phase();
}
void Cluster::end_cluster_phase() {
  cluster_arrived_ = 0;
  counters_.cluster_barriers += blocks.size();
  for (Chain& c : chains_)
    c.wait_for(cluster_clock_);
  wake(Wait::Cluster, cluster_phase_++);
}
void Cluster::wait_at_cluster(Warp& w, const Step& s) {
  if (w.cluster_phase == Warp::kNoPhase)
    fail(w, s, "waits at the cluster's barrier without having arrived");
  const uint64_t phase = w.cluster_phase;
  w.cluster_phase = Warp::kNoPhase;
  if (phase == cluster_phase_)
    w.wait_after(Wait::Cluster, phase);
}

// ---- memory
void Cluster::check_global(const Warp& w, const Step& s, unsigned lane, uint64_t first, uint64_t end) {
  if (is_known(first, end))
    return;
  Allocation a;
  if (find_allocation(first, &a) && end - a.start <= a.size) {
    known_[oldest_++ % std::size(known_)] = {a.start, a.start + a.size};
    return;
  }
  fail_access(
      CUDA_ERROR_ILLEGAL_ADDRESS,
      w,
      s,
      lane,
      "accesses address 0x%llx, which no allocation has",
      static_cast<unsigned long long>(first));
}
Block* Cluster::shared_at(uint64_t address) {
  const uint64_t offset = address - reinterpret_cast<uint64_t>(shared_);
  if (offset >= shared_stride_ * blocks.size())
    return nullptr;
  return &blocks[offset / shared_stride_];
}
unsigned char* Cluster::shared_address(const Warp& w, const Step& s, unsigned lane, uint32_t address, size_t bytes) {
  const uint32_t tag = address >> 24;
  const uint32_t offset = address & 0xffffff;
  Block& own = const_cast<Warp&>(w).block();
  if (tag > blocks.size() || offset + bytes > shared_bytes)
    fail_access(
        CUDA_ERROR_ILLEGAL_ADDRESS,
        w,
        s,
        lane,
        "accesses %zu bytes at shared offset %u; the block has %zu",
        bytes,
        offset,
        shared_bytes);
  Block& block = tag ? blocks[tag - 1] : own;
  if (&block != &own && !block.live_warps)
    fail(w, s, "accesses the shared memory of block %u of the cluster, which has ended", block.rank);
  return block.shared + offset;
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

// ---- launching
CUresult run(PtxLaunch& launch) {
  run_on_pool(
      [](void* data) {
        PtxLaunch& l = *static_cast<PtxLaunch*>(data);
        try {
          std::unique_ptr<Cluster> cluster;
          const uint64_t clusters = l.clusters();
          const uint64_t chunk = clusters / 256 + 1;
          for (uint64_t i; !l.status && (i = l.next.fetch_add(chunk)) < clusters;) {
            if (!cluster)
              cluster = std::make_unique<Cluster>(l);
            for (uint64_t end = std::min(i + chunk, clusters); i < end && !l.status; ++i)
              cluster->run(i);
          }
        } catch (const Fault& fault) {
          int none = CUDA_SUCCESS;
          if (l.status.compare_exchange_strong(none, fault.status))
            l.reason = fault.text;
        }
      },
      &launch,
      launch.clusters() > 1);
  return CUresult(launch.status.load());
}
}   // namespace spectral::cpu::ptx
