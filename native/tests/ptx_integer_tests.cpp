// Integers, bits, comparisons and conversions in PTX, against 128-bit arithmetic and loops over bits.
#include "ptx.h"

namespace {
using Wide = __int128;
const std::vector<uint64_t> kEdges = {
    0,
    1,
    2,
    7,
    31,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x12345,
    0x7fffff,
    0x800000,
    0xffffff,
    0x7fffffff,
    0x80000000,
    0xdeadbeef,
    0xffffffff,
    0x100000000,
    0x123456789abcdef0,
    0x7fffffffffffffff,
    0x8000000000000000,
    0xfedcba9876543210,
    0xffffffff80000000,
    0xffffffffffffffff};

// A type's name, its bits, and the registers that hold it.
struct Kind {
  const char* name;
  int bits;
  bool is_signed;
  const char* prefix;
};
constexpr Kind kKinds[] = {
    {"u16", 16, false, "%h"},
    {"s16", 16, true, "%h"},
    {"u32", 32, false, "%"},
    {"s32", 32, true, "%"},
    {"u64", 64, false, "%l"},
    {"s64", 64, true, "%l"}};
uint64_t low(Wide v, int bits) { return uint64_t(v) & (bits == 64 ? ~uint64_t(0) : (uint64_t(1) << bits) - 1); }
Wide value(uint64_t bits, int n, bool is_signed) {
  const uint64_t cut = low(Wide(bits), n);
  return is_signed && cut >> (n - 1) & 1 ? Wide(cut) - (Wide(1) << n) : Wide(cut);
}
Wide least(int n, bool is_signed) { return is_signed ? -(Wide(1) << (n - 1)) : 0; }
Wide greatest(int n, bool is_signed) { return (Wide(1) << (is_signed ? n - 1 : n)) - 1; }
Wide clamp(Wide v, int n, bool is_signed) { return std::min(std::max(v, least(n, is_signed)), greatest(n, is_signed)); }

// "add" over a type: "add.u16 %hd, %ha, %hb;"
std::string code_of(const std::string& opcode, const Kind& k, int sources) {
  const std::string p = k.prefix;
  std::string code = opcode + "." + k.name + " " + p + "d, " + p + "a";
  if (sources > 1)
    code += ", " + p + "b";
  if (sources > 2)
    code += ", " + p + "c";
  return code + ";";
}
using Arithmetic = std::function<Wide(Wide a, Wide b, Wide c)>;
void check_arithmetic(const std::string& opcode, const Kind& k, int sources, const Arithmetic& f) {
  check_rows(code_of(opcode, k, sources), sources > 2 ? triples_of(kEdges) : pairs_of(kEdges), [&](const Operands& o) {
    const Wide a = value(o.a, k.bits, k.is_signed);
    const Wide b = value(o.b, k.bits, k.is_signed);
    return low(f(a, b, value(o.c, k.bits, k.is_signed)), k.bits);
  });
}
// The high half of a product of n bits: for 64 bits by halves of 32, as the 128-bit product of unsigned values.
Wide high_half(Wide a, Wide b, int n) { return a * b >> n; }
Wide high_half(const Kind& k, Wide a, Wide b) {
  if (k.bits < 64 || k.is_signed)
    return high_half(a, b, k.bits);
  return Wide(static_cast<unsigned __int128>(a) * static_cast<unsigned __int128>(b) >> 64);
}

void arithmetic() {
  for (const Kind& k : kKinds) {
    check_arithmetic("add", k, 2, [](Wide a, Wide b, Wide) { return a + b; });
    check_arithmetic("sub", k, 2, [](Wide a, Wide b, Wide) { return a - b; });
    check_arithmetic("mul.lo", k, 2, [](Wide a, Wide b, Wide) {
      return Wide(static_cast<unsigned __int128>(a) * static_cast<unsigned __int128>(b));
    });
    check_arithmetic("mul.hi", k, 2, [&](Wide a, Wide b, Wide) { return high_half(k, a, b); });
    check_arithmetic("mad.lo", k, 3, [](Wide a, Wide b, Wide c) {
      return Wide(
          static_cast<unsigned __int128>(a) * static_cast<unsigned __int128>(b) + static_cast<unsigned __int128>(c));
    });
    check_arithmetic("mad.hi", k, 3, [&](Wide a, Wide b, Wide c) { return high_half(k, a, b) + c; });
    check_arithmetic("sad", k, 3, [](Wide a, Wide b, Wide c) { return c + (a < b ? b - a : a - b); });
    check_arithmetic("min", k, 2, [](Wide a, Wide b, Wide) { return std::min(a, b); });
    check_arithmetic("max", k, 2, [](Wide a, Wide b, Wide) { return std::max(a, b); });
    std::vector<Operands> divisible;   // by zero has no defined result
    for (const Operands& o : pairs_of(kEdges))
      if (low(Wide(o.b), k.bits))
        divisible.push_back(o);
    for (bool rest : {false, true})
      check_rows(code_of(rest ? "rem" : "div", k, 2), divisible, [&](const Operands& o) {
        const Wide a = value(o.a, k.bits, k.is_signed);
        const Wide b = value(o.b, k.bits, k.is_signed);
        return low(rest ? a % b : a / b, k.bits);
      });
    if (!k.is_signed)
      continue;
    check_arithmetic("abs", k, 1, [](Wide a, Wide, Wide) { return a < 0 ? -a : a; });
    check_arithmetic("neg", k, 1, [](Wide a, Wide, Wide) { return -a; });
  }
  const Kind s32 = kKinds[3];
  check_arithmetic("add.sat", s32, 2, [](Wide a, Wide b, Wide) { return clamp(a + b, 32, true); });
  check_arithmetic("sub.sat", s32, 2, [](Wide a, Wide b, Wide) { return clamp(a - b, 32, true); });
  check_arithmetic("mad.hi.sat", s32, 3, [](Wide a, Wide b, Wide c) { return clamp((a * b >> 32) + c, 32, true); });
  for (bool is_signed : {false, true}) {
    const std::string t = is_signed ? "s" : "u";
    auto of = [=](uint64_t v, int n) { return value(v, n, is_signed); };
    check_rows("mul.wide." + t + "16 %d, %ha, %hb;", pairs_of(kEdges), [&](const Operands& o) {
      return low(of(o.a, 16) * of(o.b, 16), 32);
    });
    check_rows("mul.wide." + t + "32 %ld, %a, %b;", pairs_of(kEdges), [&](const Operands& o) {
      return low(of(o.a, 32) * of(o.b, 32), 64);
    });
    check_rows("mad.wide." + t + "16 %d, %ha, %hb, %c;", triples_of(kEdges), [&](const Operands& o) {
      return low(of(o.a, 16) * of(o.b, 16) + of(o.c, 32), 32);
    });
    check_rows("mad.wide." + t + "32 %ld, %a, %b, %lc;", triples_of(kEdges), [&](const Operands& o) {
      return low(of(o.a, 32) * of(o.b, 32) + Wide(o.c), 64);
    });
    for (bool high : {false, true}) {
      const std::string form = (high ? "24.hi." : "24.lo.") + t;
      auto part = [=](const Operands& o) { return of(o.a, 24) * of(o.b, 24) >> (high ? 16 : 0); };
      check_rows(
          "mul" + form + "32 %d, %a, %b;", pairs_of(kEdges), [&](const Operands& o) { return low(part(o), 32); });
      check_rows("mad" + form + "32 %d, %a, %b, %c;", triples_of(kEdges), [&](const Operands& o) {
        return low(part(o) + Wide(uint32_t(o.c)), 32);
      });
    }
  }
}

// Carries, as the high word of sums and products of two words.
void carries() {
  using U128 = unsigned __int128;
  const auto rows = triples_of(kEdges);
  auto low_word = [](uint64_t v) { return U128(uint32_t(v)); };
  check_rows("add.cc.u32 %d, %a, %b;\naddc.u32 %d, %c, 7;", rows, [&](const Operands& o) {
    return uint32_t(o.c + 7 + uint64_t((low_word(o.a) + low_word(o.b)) >> 32));
  });
  check_rows("add.cc.u64 %ld, %la, %lb;\naddc.cc.u64 %ld, %lc, %lb;\naddc.u64 %ld, 0, 0;", rows, [](const Operands& o) {
    const U128 first = U128(o.a) + o.b;
    return uint64_t((U128(o.c) + o.b + uint64_t(first >> 64)) >> 64);
  });
  check_rows("sub.cc.u32 %d, %a, %b;\nsubc.cc.u32 %d, %c, %b;\nsubc.u32 %d, 0, 0;", rows, [&](const Operands& o) {
    const uint32_t borrow = uint32_t(o.a) < uint32_t(o.b);
    return uint32_t(0) - uint32_t(low_word(o.c) < low_word(o.b) + borrow);
  });
  check_rows("sub.cc.s64 %ld, %la, %lb;\nsubc.s64 %ld, %lc, %la;", rows, [](const Operands& o) {
    return o.c - o.a - uint64_t(o.a < o.b);
  });
  check_rows("mad.lo.cc.u32 %d, %a, %b, %c;\nmadc.hi.u32 %d, %a, %b, 5;", rows, [&](const Operands& o) {
    const U128 product = low_word(o.a) * low_word(o.b);
    return uint32_t(uint64_t(product >> 32) + 5 + uint64_t((U128(uint32_t(product)) + low_word(o.c)) >> 32));
  });
  check_rows("mad.lo.cc.u64 %ld, %la, %lb, %lc;\nmadc.hi.u64 %ld, %la, %lb, 0;", rows, [](const Operands& o) {
    return uint64_t((U128(o.a) * o.b + o.c) >> 64);
  });
  check_rows("mad.hi.cc.u32 %d, %a, %b, %c;\naddc.u32 %d, 0, 0;", rows, [&](const Operands& o) {
    return uint64_t(((low_word(o.a) * low_word(o.b) >> 32) + low_word(o.c)) >> 32);
  });
}

// ---- bits
bool bit(uint64_t v, uint64_t i) { return i < 64 && (v >> i & 1); }
uint64_t find_bit(uint64_t v, int n, bool is_signed, bool as_shift) {
  const bool ignored = is_signed && bit(v, uint64_t(n - 1));   // the sign's copies
  for (int i = n - 1; i >= 0; --i)
    if (bit(v, uint64_t(i)) != ignored)
      return uint64_t(as_shift ? n - 1 - i : i);
  return 0xffffffff;
}
uint64_t extracted(uint64_t v, int n, bool is_signed, uint64_t at, uint64_t length) {
  at &= 255;
  length &= 255;
  uint64_t result = 0;
  const bool sign = is_signed && length && bit(v, std::min(at + length - 1, uint64_t(n - 1)));
  for (uint64_t i = 0; i < uint64_t(n); ++i)
    if (i < length && at + i < uint64_t(n) ? bit(v, at + i) : sign)
      result |= uint64_t(1) << i;
  return result;
}
uint64_t inserted(uint64_t a, uint64_t b, int n, uint64_t at, uint64_t length) {
  for (uint64_t i = 0; i < (length & 255) && (at & 255) + i < uint64_t(n); ++i) {
    const uint64_t one = uint64_t(1) << ((at & 255) + i);
    b = bit(a, i) ? b | one : b & ~one;
  }
  return b;
}

void bits() {
  const auto rows = pairs_of(kEdges);
  for (int n : {32, 64}) {
    const std::string t = std::to_string(n);
    const std::string p = n == 64 ? "%l" : "%";
    check_rows("popc.b" + t + " %d, " + p + "a;", rows, [=](const Operands& o) {
      uint64_t count = 0;
      for (int i = 0; i < n; ++i)
        count += bit(o.a, uint64_t(i));
      return count;
    });
    check_rows("clz.b" + t + " %d, " + p + "a;", rows, [=](const Operands& o) {
      uint64_t count = 0;
      while (count < uint64_t(n) && !bit(o.a, uint64_t(n) - 1 - count))
        ++count;
      return count;
    });
    check_rows("brev.b" + t + " " + p + "d, " + p + "a;", rows, [=](const Operands& o) {
      uint64_t r = 0;
      for (int i = 0; i < n; ++i)
        r = r << 1 | bit(o.a, uint64_t(i));
      return r;
    });
    for (bool is_signed : {false, true}) {
      const std::string s = (is_signed ? "s" : "u") + t;
      for (bool as_shift : {false, true})
        check_rows((as_shift ? "bfind.shiftamt." : "bfind.") + s + " %d, " + p + "a;", rows, [=](const Operands& o) {
          return find_bit(o.a, n, is_signed, as_shift);
        });
      check_rows("bfe." + s + " " + p + "d, " + p + "a, %b, %c;", triples_of(kEdges), [=](const Operands& o) {
        return extracted(o.a, n, is_signed, o.b, o.c);
      });
      for (uint64_t length : {0, 1, 8, 31, 32, 63, 64, 255})
        check_rows(
            "bfe." + s + " " + p + "d, " + p + "a, %b, " + std::to_string(length) + ";", rows, [=](const Operands& o) {
              return extracted(o.a, n, is_signed, o.b, length);
            });
    }
    for (uint64_t length : {0, 1, 5, 32, 64, 255, 256})
      check_rows(
          "bfi.b" + t + " " + p + "d, " + p + "a, " + p + "b, %c, " + std::to_string(length) + ";",
          triples_of(kEdges),
          [=](const Operands& o) { return low(Wide(inserted(o.a, low(Wide(o.b), n), n, o.c, length)), n); });
  }
  check_rows("bfind.u32 %d, 0;", {{}}, [](const Operands&) { return uint64_t(0xffffffff); });
  check_rows("bmsk.clamp.b32 %d, %a, %b;", rows, [](const Operands& o) {
    uint64_t m = 0;
    for (uint64_t i = 0; i < 32; ++i)
      m |= uint64_t(i >= uint32_t(o.a) && i < uint64_t(uint32_t(o.a)) + uint32_t(o.b)) << i;
    return m;
  });
  check_rows("bmsk.wrap.b32 %d, %a, %b;", rows, [](const Operands& o) {
    uint64_t m = 0;
    for (uint64_t i = 0; i < 32; ++i)
      m |= uint64_t(i >= (o.a & 31) && i < (o.a & 31) + (o.b & 31)) << i;
    return m;
  });
  for (int table : {0x00, 0x01, 0x17, 0x80, 0x96, 0xe8, 0xca, 0xf0, 0xff})
    check_rows("lop3.b32 %d, %a, %b, %c, " + std::to_string(table) + ";", triples_of(kEdges), [=](const Operands& o) {
      uint64_t d = 0;
      for (uint64_t i = 0; i < 32; ++i)
        d |= uint64_t(table >> (4 * bit(o.a, i) + 2 * bit(o.b, i) + bit(o.c, i)) & 1) << i;
      return d;
    });
  check_rows("not.b16 %hd, %ha;", rows, [](const Operands& o) { return 0xffff - (o.a & 0xffff); });
  check_rows("cnot.b64 %ld, %la;", rows, [](const Operands& o) { return uint64_t(o.a == 0); });
  check_rows("xor.b64 %ld, %la, %lb;", rows, [](const Operands& o) { return (o.a | o.b) - (o.a & o.b); });
  check_rows("dp4a.s32.u32 %d, %a, %b, %c;", triples_of(kEdges), [](const Operands& o) {
    Wide sum = Wide(uint32_t(o.c));
    for (int i = 0; i < 4; ++i)
      sum += value(o.a >> 8 * i, 8, true) * value(o.b >> 8 * i, 8, false);
    return low(sum, 32);
  });
}

void shifts() {
  std::vector<uint64_t> amounts = {0, 1, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 128, 255, 256, 0x80000000, 0xffffffff};
  std::vector<Operands> rows;
  for (uint64_t v : kEdges)
    for (uint64_t n : amounts)
      rows.push_back({v, n, ~v ^ n << 7});
  for (const Kind& k : kKinds) {
    const std::string p = k.prefix;
    const std::string operands = " " + p + "d, " + p + "a, %b;";
    check_rows("shl.b" + std::to_string(k.bits) + operands, rows, [&](const Operands& o) {
      return o.b >= uint64_t(k.bits) ? 0 : low(Wide(o.a) << o.b, k.bits);
    });
    check_rows(std::string("shr.") + k.name + operands, rows, [&](const Operands& o) {
      return low(value(o.a, k.bits, k.is_signed) >> std::min<uint64_t>(o.b, 100), k.bits);
    });
  }
  auto swapped = rows;
  for (Operands& o : swapped)
    std::swap(o.b, o.c);
  for (bool left : {false, true})
    for (bool wraps : {false, true})
      check_rows(
          std::string("shf.") + (left ? "l." : "r.") + (wraps ? "wrap" : "clamp") + ".b32 %d, %a, %b, %c;",
          swapped,
          [=](const Operands& o) {
            const uint64_t n = wraps ? o.c % 32 : std::min<uint64_t>(o.c, 32);
            uint64_t d = 0;
            for (uint64_t i = 0; i < 32; ++i) {   // bit i of the result is this bit of b:a
              const uint64_t from = left ? 32 + i - n : i + n;
              d |= uint64_t(from < 32 ? bit(o.a, from) : bit(o.b, from - 32)) << i;
            }
            return d;
          });
}

void bytes() {
  const Operands o{0x83828180, 0x47464544, 0};   // bytes 0-3 are 80-83, 4-7 are 44-47
  check_row("prmt.b32 %d, %a, %b, 0x7531;", o, 0x47458381);
  check_row("prmt.b32 %d, %a, %b, 0x8c3b;", o, 0xff0083ff);   // with bit 3: the sign of the byte
  constexpr struct {
    const char* mode;
    uint32_t results[4];
  } kModes[] = {
      {"f4e", {0x83828180, 0x44838281, 0x45448382, 0x46454483}},
      {"b4e", {0x45464780, 0x46478081, 0x47808182, 0x80818283}},
      {"rc8", {0x80808080, 0x81818181, 0x82828282, 0x83838383}},
      {"ecl", {0x83828180, 0x83828181, 0x83828282, 0x83838383}},
      {"ecr", {0x80808080, 0x81818180, 0x82828180, 0x83828180}},
      {"rc16", {0x81808180, 0x83828382, 0x81808180, 0x83828382}}};
  for (const auto& m : kModes)
    for (uint64_t c = 0; c < 8; ++c)
      check_row(std::string("prmt.b32.") + m.mode + " %d, %a, %b, %c;", {o.a, o.b, c}, m.results[c & 3]);
  check_row("mov.b64 {%e, %f}, %la;\nmov.b64 %ld, {%f, %e};", {0x1122334455667788}, 0x5566778811223344);
  check_row("mov.b32 {%hb, %hc}, %a;\nmov.b32 %d, {%hc, %hb};", {0x11223344}, 0x33441122);
  check_row(
      "mov.b64 {%ha, %hb, %hc, %he}, %la;\nmov.b64 %ld, {%he, %hc, %hb, %ha};",
      {0x1111222233334444},
      0x4444333322221111);
  check_row("mov.b64 {_, %d}, %la;", {0x1122334455667788}, 0x11223344);
}

// ---- comparisons
void comparisons() {
  constexpr struct {
    const char* name;
    bool less, equal, greater;
  } kCompares[] = {
      {"eq", false, true, false},
      {"ne", true, false, true},
      {"lt", true, false, false},
      {"le", true, true, false},
      {"gt", false, false, true},
      {"ge", false, true, true}};
  for (const Kind& k : kKinds)
    for (const auto& c : kCompares) {
      const std::string p = k.prefix;
      auto holds = [&](const Operands& o) {
        const Wide a = value(o.a, k.bits, k.is_signed);
        const Wide b = value(o.b, k.bits, k.is_signed);
        return a < b ? c.less : (a == b ? c.equal : c.greater);
      };
      check_rows(
          std::string("setp.") + c.name + "." + k.name + " %p|%q, " + p + "a, " + p + "b;",
          pairs_of(kEdges),
          [&](const Operands& o) { return uint64_t(holds(o) ? 1 : 2); });
      check_rows(
          std::string("set.") + c.name + ".u32." + k.name + " %d, " + p + "a, " + p + "b;",
          pairs_of(kEdges),
          [&](const Operands& o) { return holds(o) ? uint64_t(0xffffffff) : 0; });
    }
  // lo, ls, hi and hs are unsigned; p = t op c, q = !t op c
  check_row("setp.lo.u32 %p, %a, %b;", {1, 0xffffffff}, 1);
  check_row("setp.hs.u32 %p, %a, %b;", {0xffffffff, 1}, 1);
  for (uint64_t t : {0, 1})
    for (uint64_t c : {0, 1}) {
      const Operands o{t, 1, c};
      const std::string start = "setp.ne.u32 %r, %c, 0;\nsetp.eq.";
      const uint64_t not_t = 1 - t;
      check_row(start + "and.u32 %p|%q, %a, %b, %r;", o, (t & c) | (not_t & c) << 1);
      check_row(start + "or.u32 %p|%q, %a, %b, %r;", o, (t | c) | (not_t | c) << 1);
      check_row(start + "xor.u32 %p|%q, %a, %b, %r;", o, (t ^ c) | (not_t ^ c) << 1);
      check_row(start + "and.u32 %p|%q, %a, %b, !%r;", o, (t & (1 - c)) | (not_t & (1 - c)) << 1);
    }
  check_row("setp.eq.u32 %p, %a, 1;\nselp.u64 %ld, %lb, %lc, !%p;", {1, 11, 22}, 22);
  check_rows("slct.u32.s32 %d, %a, %b, %c;", triples_of(kEdges), [](const Operands& o) {
    return uint32_t(bit(o.c, 31) ? o.b : o.a);
  });
  check_row("slct.u64.f32 %ld, %la, %lb, %c;", {11, 22, 0x80000000}, 11);   // -0 counts as 0
  check_row("slct.u64.f32 %ld, %la, %lb, %c;", {11, 22, 0x7fc00000}, 22);   // NaN
  check_row("slct.u64.f32 %ld, %la, %lb, %c;", {11, 22, 0x80000001}, 22);
  check_row("slct.ftz.u64.f32 %ld, %la, %lb, %c;", {11, 22, 0x80000001}, 11);
  check_row("setp.eq.u32 %r, %a, 1;\nnot.pred %p, %r;\nand.pred %q, %r, !%p;", {1}, 2);
}

// ---- conversions between integers: of all pairs, wrapping and clamping, read from registers of each size
void conversions() {
  constexpr struct {
    const char* name;
    int bits;
    bool is_signed;
  } kTypes[] = {
      {"u8", 8, false},
      {"s8", 8, true},
      {"u16", 16, false},
      {"s16", 16, true},
      {"u32", 32, false},
      {"s32", 32, true},
      {"u64", 64, false},
      {"s64", 64, true}};
  auto fit = [](int n) { return n <= 16 ? "%h" : (n == 32 ? "%" : "%l"); };
  for (const auto& to : kTypes)
    for (const auto& from : kTypes)
      for (bool saturates : {false, true}) {
        const std::string name = std::string(saturates ? "cvt.sat." : "cvt.") + to.name + "." + from.name;
        auto expected = [&](const Operands& o) {
          const Wide v = value(o.a, from.bits, from.is_signed);
          return low(saturates ? clamp(v, to.bits, to.is_signed) : v, to.bits);
        };
        const std::string mask = to.bits == 8 ? "\nand.b16 %hd, %hd, 0xff;" : "";
        check_rows(name + " " + fit(to.bits) + "d, " + fit(from.bits) + "a;" + mask, pairs_of(kEdges), expected);
        // a wider register: the low part is read, the result is extended to all of it
        check_rows(name + " %ld, %la;", pairs_of(kEdges), [&](const Operands& o) {
          return low(value(expected(o), to.bits, to.is_signed), 64);
        });
      }
}
}   // namespace

TEST_GROUP(ptx_integers) {
  arithmetic();
  carries();
  bits();
  shifts();
  bytes();
  comparisons();
  conversions();
}
