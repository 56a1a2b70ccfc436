#include "block.h"
#include "../memory.h"
#include "../pool.h"
#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>

namespace spectral::cpu::ptx {
namespace {
constexpr unsigned char kPoison = 0xcd;
constexpr size_t kMostPassed = 4096;   // entries of a queue that are over
}   // namespace

// ---- blocks
void Block::start(Cluster& of, uint3 where, unsigned place) {
  cluster = &of;
  index = where;
  rank = place;
  for (; used_barriers_; used_barriers_ &= used_barriers_ - 1)
    barriers[std::countr_zero(used_barriers_)] = {};
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
  used_barriers_ |= 1u << id;
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
  for (uint32_t left = used_barriers_; left; left &= left - 1)
    if (const auto id = unsigned(std::countr_zero(left));
        barriers[id].arrived && !barriers[id].expected && barriers[id].arrived == 32 * live_warps)
      release(id);
}

// ---- clusters
Cluster::Kept& Cluster::Kept::of_thread() {
  static thread_local std::unique_ptr<Kept> kept;   // on the heap, as Scratch is
  if (!kept)
    kept = std::make_unique<Kept>();
  return *kept;
}
Cluster::Cluster(PtxLaunch& launch) : launch_(launch), program_(*launch.program), scratch_(Scratch::of_thread()) {
  Kept& kept = Kept::of_thread();
  blocks = std::move(kept.blocks);
  queue_ = std::move(kept.queue);
  free_registers_ = std::move(kept.free_registers);
  predicates_ = std::move(kept.predicates);
  const auto size = unsigned(count_of(launch.shape.cluster));
  warps_per_block_ = (launch.threads() + 31) / 32;
  const unsigned warps = warps_per_block_ * size;
  const dim3 b = launch.shape.block;
  has_rows_ = b.x % 32 == 0 || count_of(b) == b.x;
  shared_bytes = launch.shared_bytes();
  shared_stride_ = round_up(shared_bytes, 1024) + 1024;
  warp_bytes_ = round_up(program_.register_bytes + program_.predicates * sizeof(uint32_t), kUnit);
  registers_ = scratch_.registers.take(warp_bytes_ * warps);
  shared_ = scratch_.shared.take(shared_stride_ * size);
  local_ = scratch_.local.take(program_.local_stride * 32 * warps);
  if (launch.counters)
    counters_.emplace();
  blocks.resize(size);
  for (Block& block : blocks) {
    block.warps.resize(warps_per_block_);
    block.async.resize(program_.uses_copies ? warps_per_block_ : 0);
    block.groups.resize(program_.uses_warpgroups ? (warps_per_block_ + 3) / 4 : 0);
    block.counters_ = counters_ ? &*counters_ : nullptr;
  }
  if (launch.counters)
    chains_.resize(warps, Chain(program_));
}
Cluster::~Cluster() {
  free_registers_.clear();
  predicates_.clear();
  Kept::of_thread() = {std::move(blocks), std::move(queue_), std::move(free_registers_), std::move(predicates_)};
  scratch_.end_launch();
  if (counters_) {
    static std::mutex mutex;
    std::lock_guard lock(mutex);
    launch_.counters->take(*counters_);
  }
}

// Registers for a warp that has its first turn. One that ended before leaves its own, which are in the cache.
void Cluster::give_registers(Warp& warp) {
  RegisterFile file{nullptr, kNoBlock};
  if (free_registers_.empty()) {
    file.registers = registers_ + warp_bytes_ * register_files_++;
    write_fixed(file.registers);
  } else {
    file = free_registers_.back();
    free_registers_.pop_back();
  }
  if (options.poison) {
    std::memset(file.registers + program_.fixed_bytes, kPoison, warp_bytes_ - program_.fixed_bytes);
    file.block = kNoBlock;
  }
  const bool is_new_block = file.block != number_of(warp.block());
  if (file.block == kNoBlock && has_invariants_)
    keep_predicates(file.registers);
  write_specials(warp, file.registers, is_new_block);
  warp.use_registers(file.registers);
  if (is_new_block && has_invariants_)
    take_block_invariants(warp);
}

void Cluster::start(uint64_t index) {
  index_ = index;
  const dim3 g = launch_.shape.grid;
  const dim3 c = launch_.shape.cluster;
  const uint64_t across = g.x / c.x;
  const uint64_t down = g.y / c.y;
  const unsigned threads = launch_.threads();
  cluster_arrived_ = 0;
  cluster_clock_ = 0;
  phases_.clear();
  queue_.clear();
  next_in_queue_ = 0;
  copies.soon.clear();
  copies.late.clear();
  copies.arrivals.clear();
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
      const unsigned lanes = std::min(32u, threads - 32 * i);
      Warp& warp = block.warps[i];
      warp.chain = chains_.empty() ? nullptr : &chains_[number];
      if (warp.chain)
        warp.chain->start();
      warp.local = local_ + program_.local_stride * 32 * number;
      warp.start(block, program_, i, lanes == 32 ? ~0u : (1u << lanes) - 1);
      queue_.push_back(&warp);
    }
  }
  live_warps_ = unsigned(queue_.size());
}

Warp* Cluster::next_warp() {
  const size_t waiting = queue_.size() - next_in_queue_;
  if (!waiting)
    return nullptr;
  if (options.seed)
    std::swap(queue_[next_in_queue_], queue_[next_in_queue_ + random() % waiting]);
  Warp* const w = queue_[next_in_queue_++];
  if (next_in_queue_ == queue_.size() || next_in_queue_ > kMostPassed) {
    queue_.erase(queue_.begin(), queue_.begin() + ptrdiff_t(next_in_queue_));
    next_in_queue_ = 0;
  }
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
    if (!w->registers())
      give_registers(*w);
    const Turn turn = w->run();   // while which it counts as queued: groups that it wakes itself have their turn in it
    w->queued = false;
    fruitless = turn == Turn::Yields ? fruitless + 1 : 0;
    if (turn == Turn::Ended)
      end(*w);
    if (turn == Turn::Yields) {
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
    launch_.reuse->add(index, counters_->take_runs());
}

void Cluster::count_chains() {
  for (size_t first = 0; first < chains_.size(); first += warps_per_block_) {
    uint64_t longest = 0;
    for (size_t i = first; i < first + warps_per_block_; ++i)
      longest = std::max(longest, chains_[i].end());
    counters_->chain_clocks += longest;
    counters_->longest_chain_clocks = std::max(counters_->longest_chain_clocks, longest);
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
  free_registers_.push_back({w.registers(), number_of(block)});
  w.use_registers(nullptr);
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
  if (counters_)
    counters_->cluster_barriers += blocks.size();
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

// ---- launching
CUresult run(PtxLaunch& launch) {
  run_on_pool(
      [](void* data) {
        PtxLaunch& l = *static_cast<PtxLaunch*>(data);
        try {
          std::optional<Cluster> cluster;
          const uint64_t clusters = l.clusters();
          const uint64_t chunk = clusters / 256 + 1;
          for (uint64_t i; !l.status && (i = l.next.fetch_add(chunk)) < clusters;) {
            if (!cluster)
              cluster.emplace(l);
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
