#include "counters.h"
#include <algorithm>
#include <initializer_list>

namespace spectral::cpu::ptx {
const char* name_of(StepClass c) {
  constexpr const char* kNames[] = {"integer",    "float",       "double",       "special",       "conversion",
                                    "move",       "global_load", "global_store", "shared_load",   "shared_store",
                                    "local_load", "local_store", "generic_load", "generic_store", "constant_load",
                                    "atomic",     "matrix_load", "matrix_store", "async_copy",    "mma",
                                    "wgmma",      "barrier",     "collective",   "control",       "hint"};
  return kNames[int(c)];
}

void ByteSet::add(uint64_t first, uint64_t bytes) {
  while (bytes) {
    const uint64_t number = first / kPage;
    Page& page = pages_.get(number);
    const uint64_t end = std::min(first + bytes, (number + 1) * kPage);
    bytes -= end - first;
    while (first < end) {
      const uint64_t at = first % kPage;
      const uint64_t n = std::min(end - first, 64 - at % 64);
      page.add(at / 64, ones(n) << at % 64);
      first += n;
    }
  }
}
void ByteSet::add_row(uint64_t first, uint64_t bytes, uint64_t step, uint64_t n) {
  uint64_t each = ones(bytes);
  for (uint64_t distance = step; distance < 64; distance *= 2)
    each |= each << distance;
  const uint64_t start = first % step;   // of a piece, from a multiple of the step
  const uint64_t end = first - start + n * step;
  for (uint64_t at = first - start; at < end;) {
    const uint64_t from = at % 64;
    const uint64_t to = std::min<uint64_t>(64, from + (end - at));
    add_bits(at / 64, (each << start) & ones(to) & ~ones(from));
    at += to - from;
  }
}
void ByteSet::take_all(ByteSet& other) {
  if (pages_.empty())
    return pages_.swap(other.pages_);
  other.pages_.each([&](uint64_t number, const Page& page) {
    Page& own = pages_.get(number);
    for (size_t i = 0; i < std::size(page.bits); ++i)
      own.add(i, page.bits[i]);
  });
}
uint64_t ByteSet::count() const { return count(0, ~uint64_t(0)); }
uint64_t ByteSet::count(uint64_t first, uint64_t end) const {
  uint64_t n = 0;
  pages_.each([&](uint64_t number, const Page& page) {
    const uint64_t start = number * kPage;
    if (start + kPage <= first || start >= end)
      return;
    if (start >= first && start + kPage <= end) {
      n += page.count;
      return;
    }
    for (uint64_t i = 0; i < std::size(page.bits); ++i) {
      const uint64_t at = start + 64 * i;
      uint64_t bits = page.bits[i];
      if (at + 64 <= first || at >= end)
        continue;
      if (at < first)
        bits &= ~uint64_t(0) << (first - at);
      if (end < at + 64)
        bits &= (uint64_t(1) << (end - at)) - 1;
      n += uint64_t(std::popcount(bits));
    }
  });
  return n;
}

void GlobalTraffic::take(GlobalTraffic& o) {
  sectors += o.sectors;
  requests += o.requests;
  excess_sectors += o.excess_sectors;
  bulk_copies += o.bulk_copies;
  bulk_sectors += o.bulk_sectors;
  touched.take_all(o.touched);
}
void GlobalTraffic::add_run(uint64_t first, uint64_t end) {
  if (first < end)
    runs.push_back({first, uint32_t(end - first), slice, false});
}
void GlobalTraffic::request(Piece* pieces, size_t n) {
  const auto is_before = [](const Piece& a, const Piece& b) { return a.first < b.first; };
  if (!std::is_sorted(pieces, pieces + n, is_before))   // which costs more than all the rest
    std::sort(pieces, pieces + n, is_before);
  uint64_t next_sector = 0;
  uint64_t run = 0;   // the first of neighbouring sectors up to next_sector
  uint64_t found = 0;
  uint64_t bytes = 0;
  ByteSet::Adder adder(touched);
  for (size_t i = 0; i < n;) {
    const uint64_t begin = pieces[i].first;
    uint64_t end = begin;
    for (; i < n && pieces[i].first <= end; ++i)   // pieces side by side are one
      end = std::max(end, pieces[i].first + pieces[i].bytes);
    adder.add(begin, end - begin);
    bytes += end - begin;
    const uint64_t first = std::max(begin / kSector, next_sector);
    if (first > next_sector) {
      add_run(run, next_sector);
      run = first;
    }
    next_sector = (end - 1) / kSector + 1;
    found += next_sector - std::min(first, next_sector);
  }
  add_run(run, next_sector);
  count_request(found, bytes);
}
void GlobalTraffic::request_row(Piece piece, uint64_t step, size_t n) {
  const uint64_t end = piece.first + (n - 1) * step + piece.bytes;
  const uint64_t first_sector = piece.first / kSector;
  const uint64_t end_sector = (end - 1) / kSector + 1;
  const bool is_dense = step <= piece.bytes;
  if (is_dense) {
    touched.add(piece.first, end - piece.first);
  } else if (64 % step == 0 && piece.first % step + piece.bytes <= step) {   // a whole number of them in each word
    touched.add_row(piece.first, piece.bytes, step, n);
  } else {
    ByteSet::Adder adder(touched);
    for (size_t i = 0; i < n; ++i)
      adder.add(piece.first + i * step, piece.bytes);
  }
  add_run(first_sector, end_sector);
  count_request(end_sector - first_sector, is_dense ? end - piece.first : n * piece.bytes);
}
void GlobalTraffic::request_ascending(const uint64_t* addresses, size_t n, unsigned bytes) {
  const uint64_t bits = (uint64_t(1) << bytes) - 1;
  uint64_t last = ~uint64_t(0);
  uint64_t run = 0;
  uint64_t next_sector = 0;
  size_t found = 0;
  size_t distinct = 0;
  ByteSet::Adder adder(touched);
  for (size_t i = 0; i < n; ++i) {
    const uint64_t at = addresses[i];
    const uint64_t sector = at / kSector;
    distinct += at != last;
    last = at;
    adder.add_sector(sector, uint32_t(bits << at % kSector));
    if (sector < next_sector)
      continue;
    ++found;
    if (sector > next_sector) {
      add_run(run, next_sector);
      run = sector;
    }
    next_sector = sector + 1;
  }
  add_run(run, next_sector);
  count_request(found, distinct * bytes);
}
// In a table of the sectors, with a bit for each byte: sorting takes several times as long.
void GlobalTraffic::request_scattered(const uint64_t* addresses, size_t n, unsigned bytes) {
  constexpr unsigned kBits = 6;   // twice the lanes of a warp
  constexpr size_t kSlots = size_t(1) << kBits;
  uint64_t sector_of[kSlots];
  uint32_t bytes_of[kSlots] = {};   // 0: the slot is free
  uint8_t taken[32];
  size_t found = 0;
  for (size_t i = 0; i < n; ++i) {
    const uint64_t sector = addresses[i] / kSector;
    size_t slot = (sector * 0x9e3779b97f4a7c15) >> (64 - kBits);
    while (bytes_of[slot] && sector_of[slot] != sector)
      slot = (slot + 1) % kSlots;
    sector_of[slot] = sector;
    taken[found] = uint8_t(slot);
    found += !bytes_of[slot];
    bytes_of[slot] |= uint32_t((uint64_t(1) << bytes) - 1) << addresses[i] % kSector;
  }
  uint64_t all_bytes = 0;
  uint64_t run = 0;
  uint64_t next_sector = 0;
  ByteSet::Adder adder(touched);
  for (size_t i = 0; i < found; ++i) {
    const uint64_t sector = sector_of[taken[i]];
    const uint32_t of_sector = bytes_of[taken[i]];
    all_bytes += uint64_t(std::popcount(of_sector));
    adder.add_sector(sector, of_sector);
    if (sector != next_sector) {
      add_run(run, next_sector);
      run = sector;
    }
    next_sector = sector + 1;
  }
  add_run(run, next_sector);
  count_request(found, all_bytes);
}
void GlobalTraffic::count_request(uint64_t found, uint64_t bytes) {
  sectors += found;
  excess_sectors += found - (bytes + kSector - 1) / kSector;
  ++requests;
}
void GlobalTraffic::bulk(uint64_t first, uint64_t bytes, uint64_t rows, int64_t stride) {
  uint64_t next_sector = 0;
  for (uint64_t r = 0; r < rows; ++r) {
    const uint64_t start = first + r * uint64_t(stride);
    touched.add(start, bytes);
    const uint64_t end_sector = (start + bytes - 1) / kSector + 1;
    add_run(start / kSector, end_sector);
    bulk_sectors += end_sector - std::max(start / kSector, std::min(next_sector, end_sector));
    sectors += end_sector - std::max(start / kSector, std::min(next_sector, end_sector));
    next_sector = end_sector;
  }
  ++bulk_copies;
}

void Counters::take(Counters& o) {
  instructions += o.instructions;
  for (int i = 0; i < kStepClasses; ++i) {
    by_class[i] += o.by_class[i];
    operations[i] += o.operations[i];
  }
  global_read.take(o.global_read);
  global_write.take(o.global_write);
  shared_wavefronts += o.shared_wavefronts;
  shared_bank_conflicts += o.shared_bank_conflicts;
  async_shared_bytes += o.async_shared_bytes;
  local_bytes += o.local_bytes;
  barriers += o.barriers;
  cluster_barriers += o.cluster_barriers;
  divergent_branches += o.divergent_branches;
  chain_clocks += o.chain_clocks;
  longest_chain_clocks = std::max(longest_chain_clocks, o.longest_chain_clocks);
}
std::vector<SectorRun> Counters::take_runs() {
  std::vector<SectorRun> runs;
  std::swap(runs, global_read.runs);
  global_read.runs.reserve(runs.size());   // of one cluster there are as many as of the next
  for (SectorRun& r : global_write.runs)
    r.writes = true;
  runs.insert(runs.end(), global_write.runs.begin(), global_write.runs.end());
  global_write.runs.clear();
  return runs;
}

void Counters::append_to(std::vector<CounterLine>& lines) const {
  auto line = [&](const char* name, const char* rest, uint64_t value) {
    lines.push_back({name, rest, int64_t(value)});
  };
  line("instructions", "", instructions);
  for (int i = 0; i < kStepClasses; ++i)
    line(name_of(StepClass(i)), "_instructions", by_class[i]);
  for (StepClass c : {StepClass::Float, StepClass::Double, StepClass::Mma, StepClass::Wgmma})
    line(name_of(c), "_operations", operations[int(c)]);
  for (const GlobalTraffic* t : {&global_read, &global_write}) {
    const char* of = t == &global_read ? "global_read_" : "global_write_";
    line(of, "sectors", t->sectors);
    line(of, "bytes", t->touched.count());
    line(of, "requests", t->requests);
    line(of, "excess_sectors", t->excess_sectors);
    line(of, "bulk_copies", t->bulk_copies);
    line(of, "bulk_sectors", t->bulk_sectors);
  }
  line("shared_wavefronts", "", shared_wavefronts);
  line("shared_bank_conflicts", "", shared_bank_conflicts);
  line("async_shared_bytes", "", async_shared_bytes);
  line("local_bytes", "", local_bytes);
  line("barriers", "", barriers);
  line("cluster_barriers", "", cluster_barriers);
  line("divergent_branches", "", divergent_branches);
  line("chain_clocks", "", chain_clocks);
  line("longest_chain_clocks", "", longest_chain_clocks);
}

void Counters::global_access(const uint64_t* addresses, uint32_t mask, unsigned bytes, bool writes) {
  if (!mask)
    return;
  uint64_t of_lanes[32];
  size_t n = 0;
  for (; mask; mask &= mask - 1)
    of_lanes[n++] = addresses[std::countr_zero(mask)];
  GlobalTraffic& t = traffic(writes);
  if (std::is_sorted(of_lanes, of_lanes + n))
    t.request_ascending(of_lanes, n, bytes);
  else
    t.request_scattered(of_lanes, n, bytes);
}

// 32 banks of 4 bytes in each block's memory; lanes that want the same word share it. 8-byte accesses go by 16 lanes,
// 16-byte ones by 8, and each such part takes as many wavefronts as its busiest bank has words.
void Counters::shared_access(
    const uint64_t* addresses, uint32_t mask, unsigned bytes, uint64_t first_block, uint64_t stride) {
  const unsigned lanes_at_once = bytes <= 4 ? 32 : 128 / bytes;
  const unsigned words = std::max(1u, bytes / 4);
  for (unsigned first = 0; first < 32; first += lanes_at_once) {
    uint64_t wanted[32];
    size_t n = 0;
    for (unsigned lane = first; lane < first + lanes_at_once; ++lane)
      if (mask >> lane & 1)
        for (unsigned i = 0; i < words; ++i)
          wanted[n++] = (addresses[lane] - first_block) / 4 + i;
    if (!n)
      continue;
    std::sort(wanted, wanted + n);
    n = size_t(std::unique(wanted, wanted + n) - wanted);
    unsigned wavefronts = 0;
    unsigned busy[32] = {};
    uint64_t block = 0;
    for (size_t i = 0; i < n; ++i) {
      if (const uint64_t of = wanted[i] / (stride / 4); of != block) {
        block = of;
        std::fill(std::begin(busy), std::end(busy), 0);
      }
      wavefronts = std::max(wavefronts, ++busy[wanted[i] % 32]);
    }
    shared_wavefronts += wavefronts;
    shared_bank_conflicts += wavefronts - 1;
  }
}
}   // namespace spectral::cpu::ptx
