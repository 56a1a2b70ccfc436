// mma of every element type, instruction by instruction: the fragments of the PTX ISA ("Matrix Fragments for
// mma.m8n8k16" and the sections beside it) against CuTe's layouts (mma_traits_sm80), and the device against both, over
// the whole range of the integers.
#include "ptx_fragments.h"
#include <bit>

namespace {
constexpr int kLanes = 32;
int group(int lane) { return lane >> 2; }
int in_group(int lane) { return lane % 4; }

// ---- elements: their bits and values
enum class Kind { F16, Bf16, Tf32, F64, S8, U8, S4, U4, B1, E4m3, E5m2, F32, S32 };
int bits_of(Kind k) {
  switch (k) {
    case Kind::F64: return 64;
    case Kind::F16:
    case Kind::Bf16: return 16;
    case Kind::S8:
    case Kind::U8:
    case Kind::E4m3:
    case Kind::E5m2: return 8;
    case Kind::S4:
    case Kind::U4: return 4;
    case Kind::B1: return 1;
    default: return 32;
  }
}
// A whole number in a float of 8 bits with these bits of exponent: sign, exponent, fraction.
uint64_t small_float(int v, int exponent_bits) {
  const int fraction_bits = 7 - exponent_bits;
  const uint64_t sign = v < 0 ? 0x80 : 0;
  const int size = std::abs(v);
  if (!size)
    return 0;
  const int power = std::bit_width(unsigned(size)) - 1;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  return sign | uint64_t(power + bias) << fraction_bits |
         uint64_t((size << fraction_bits >> power) & ((1 << fraction_bits) - 1));
}
uint64_t encoded(Kind k, double v) {
  switch (k) {
    case Kind::F16: return std::bit_cast<uint16_t>(_Float16(v));
    case Kind::Bf16: return to_bf16(float(v));
    case Kind::Tf32:
    case Kind::F32: return std::bit_cast<uint32_t>(float(v));
    case Kind::F64: return std::bit_cast<uint64_t>(v);
    case Kind::E4m3: return small_float(int(v), 4);
    case Kind::E5m2: return small_float(int(v), 5);
    default: return uint64_t(int64_t(v)) & (~uint64_t(0) >> (64 - bits_of(k)));
  }
}
double decoded(Kind k, uint64_t bits) {
  switch (k) {
    case Kind::F16: return double(std::bit_cast<_Float16>(uint16_t(bits)));
    case Kind::F64: return std::bit_cast<double>(bits);
    case Kind::S32: return int32_t(bits);
    default: return std::bit_cast<float>(uint32_t(bits));
  }
}
double most_of(Kind k) {   // whole numbers that the kind holds exactly, from least_of on
  switch (k) {
    case Kind::S8: return 127;
    case Kind::U8: return 255;
    case Kind::S4: return 7;
    case Kind::U4: return 15;
    case Kind::B1: return 1;
    default: return 6;
  }
}
double least_of(Kind k) {
  switch (k) {
    case Kind::S8: return -128;
    case Kind::S4: return -8;
    case Kind::U8:
    case Kind::U4:
    case Kind::B1: return 0;
    default: return -6;
  }
}

// ---- fragments
Element few_rows_sum(int lane, int i) { return {group(lane), in_group(lane) * 2 + i}; }   // of m8n8
Element many_rows_sum(int lane, int i) { return {i < 2 ? group(lane) : group(lane) + 8, in_group(lane) * 2 + (i & 1)}; }
// Of A in m8n8 and of B, whose rows and columns are exchanged: `kPer` elements of a register follow each other in k.
template <int kPer>
Element a_of_m8(int lane, int i) {
  return {group(lane), in_group(lane) * kPer + i};
}
template <int kPer>
Element b_single(int lane, int i) {
  return {in_group(lane) * kPer + i, group(lane)};
}
template <int kPer>
Element b_double(int lane, int i) {
  return {in_group(lane) * kPer + i % kPer + (i < kPer ? 0 : 4 * kPer), group(lane)};
}
template <int kPer>
Element a_two_registers(int lane, int i) {
  return {i < kPer ? group(lane) : group(lane) + 8, in_group(lane) * kPer + i % kPer};
}
template <int kPer>
Element a_four_registers(int lane, int i) {
  const bool upper = i < kPer || (i >= 2 * kPer && i < 3 * kPer);
  return {upper ? group(lane) : group(lane) + 8, in_group(lane) * kPer + i % kPer + (i < 2 * kPer ? 0 : 4 * kPer)};
}
Element a_of_f64_k16(int lane, int i) {
  return i % 2 ? Element{group(lane) + 8, i * 2 - 2 + in_group(lane)} : Element{group(lane), i * 2 + in_group(lane)};
}
Element b_of_f64_k16(int lane, int i) { return {in_group(lane) + i * 4, group(lane)}; }

// The layouts of CuTe's traits for sm_80, which have one form for any number of elements in a register.
template <int kPer>
void layouts() {
  const std::string per = " with " + std::to_string(kPer) + " elements in a register";
  const CuteLayout many{{{4, 16 * kPer}, {8, 1}}};
  const CuteLayout few{{{4, 8 * kPer}, {8, 1}}};
  check_same_fragment("A of m8n8" + per, a_of_m8<kPer>, {8, few, {{{kPer, 8}}}}, kLanes, kPer);
  check_same_fragment("A of m16n8" + per, a_two_registers<kPer>, {16, many, {{{kPer, 16}, {2, 8}}}}, kLanes, 2 * kPer);
  check_same_fragment(
      "A of m16n8, deep," + per,
      a_four_registers<kPer>,
      {16, many, {{{kPer, 16}, {2, 8}, {2, 64 * kPer}}}},
      kLanes,
      4 * kPer);
  check_same_fragment("B" + per, exchanged<b_single<kPer>>, {8, few, {{{kPer, 8}}}}, kLanes, kPer);
  check_same_fragment(
      "B, deep," + per, exchanged<b_double<kPer>>, {8, few, {{{kPer, 8}, {2, 32 * kPer}}}}, kLanes, 2 * kPer);
}

struct Form {
  const char* name;   // what follows mma.sync.aligned.
  int m;
  int k;
  Kind a;
  Kind b;
  Kind sum;   // of C and D
  FragmentFormula of_a;
  FragmentFormula of_b;
};
constexpr Form kForms[] = {
    {"m16n8k4.row.col.f32.tf32.tf32.f32", 16, 4, Kind::Tf32, Kind::Tf32, Kind::F32, a_two_registers<1>, b_single<1>},
    {"m16n8k8.row.col.f32.tf32.tf32.f32", 16, 8, Kind::Tf32, Kind::Tf32, Kind::F32, a_four_registers<1>, b_double<1>},
    {"m16n8k8.row.col.f16.f16.f16.f16", 16, 8, Kind::F16, Kind::F16, Kind::F16, a_two_registers<2>, b_single<2>},
    {"m16n8k16.row.col.f16.f16.f16.f16", 16, 16, Kind::F16, Kind::F16, Kind::F16, a_four_registers<2>, b_double<2>},
    {"m16n8k8.row.col.f32.f16.f16.f32", 16, 8, Kind::F16, Kind::F16, Kind::F32, a_two_registers<2>, b_single<2>},
    {"m16n8k16.row.col.f32.f16.f16.f32", 16, 16, Kind::F16, Kind::F16, Kind::F32, a_four_registers<2>, b_double<2>},
    {"m16n8k8.row.col.f32.bf16.bf16.f32", 16, 8, Kind::Bf16, Kind::Bf16, Kind::F32, a_two_registers<2>, b_single<2>},
    {"m16n8k16.row.col.f32.bf16.bf16.f32", 16, 16, Kind::Bf16, Kind::Bf16, Kind::F32, a_four_registers<2>, b_double<2>},
    {"m8n8k4.row.col.f64.f64.f64.f64", 8, 4, Kind::F64, Kind::F64, Kind::F64, a_of_m8<1>, b_single<1>},
    {"m16n8k4.row.col.f64.f64.f64.f64", 16, 4, Kind::F64, Kind::F64, Kind::F64, a_two_registers<1>, b_single<1>},
    {"m16n8k8.row.col.f64.f64.f64.f64", 16, 8, Kind::F64, Kind::F64, Kind::F64, a_four_registers<1>, b_double<1>},
    {"m16n8k16.row.col.f64.f64.f64.f64", 16, 16, Kind::F64, Kind::F64, Kind::F64, a_of_f64_k16, b_of_f64_k16},
    {"m8n8k16.row.col.s32.s8.s8.s32", 8, 16, Kind::S8, Kind::S8, Kind::S32, a_of_m8<4>, b_single<4>},
    {"m8n8k16.row.col.s32.u8.s8.s32", 8, 16, Kind::U8, Kind::S8, Kind::S32, a_of_m8<4>, b_single<4>},
    {"m16n8k16.row.col.s32.s8.u8.s32", 16, 16, Kind::S8, Kind::U8, Kind::S32, a_two_registers<4>, b_single<4>},
    {"m16n8k32.row.col.s32.s8.s8.s32", 16, 32, Kind::S8, Kind::S8, Kind::S32, a_four_registers<4>, b_double<4>},
    {"m16n8k32.row.col.s32.u8.u8.s32", 16, 32, Kind::U8, Kind::U8, Kind::S32, a_four_registers<4>, b_double<4>},
    {"m16n8k32.row.col.satfinite.s32.u8.s8.s32",
     16,
     32,
     Kind::U8,
     Kind::S8,
     Kind::S32,
     a_four_registers<4>,
     b_double<4>},
    {"m8n8k32.row.col.s32.s4.u4.s32", 8, 32, Kind::S4, Kind::U4, Kind::S32, a_of_m8<8>, b_single<8>},
    {"m16n8k32.row.col.s32.u4.s4.s32", 16, 32, Kind::U4, Kind::S4, Kind::S32, a_two_registers<8>, b_single<8>},
    {"m16n8k32.row.col.s32.s4.s4.s32", 16, 32, Kind::S4, Kind::S4, Kind::S32, a_two_registers<8>, b_single<8>},
    {"m16n8k64.row.col.s32.s4.s4.s32", 16, 64, Kind::S4, Kind::S4, Kind::S32, a_four_registers<8>, b_double<8>},
    {"m8n8k128.row.col.s32.b1.b1.s32.xor.popc", 8, 128, Kind::B1, Kind::B1, Kind::S32, a_of_m8<32>, b_single<32>},
    {"m16n8k128.row.col.s32.b1.b1.s32.and.popc",
     16,
     128,
     Kind::B1,
     Kind::B1,
     Kind::S32,
     a_two_registers<32>,
     b_single<32>},
    {"m16n8k256.row.col.s32.b1.b1.s32.and.popc",
     16,
     256,
     Kind::B1,
     Kind::B1,
     Kind::S32,
     a_four_registers<32>,
     b_double<32>},
    {"m16n8k256.row.col.s32.b1.b1.s32.xor.popc",
     16,
     256,
     Kind::B1,
     Kind::B1,
     Kind::S32,
     a_four_registers<32>,
     b_double<32>},
    {"m16n8k32.row.col.f32.e4m3.e4m3.f32", 16, 32, Kind::E4m3, Kind::E4m3, Kind::F32, a_four_registers<4>, b_double<4>},
    {"m16n8k32.row.col.f32.e4m3.e5m2.f32", 16, 32, Kind::E4m3, Kind::E5m2, Kind::F32, a_four_registers<4>, b_double<4>},
    {"m16n8k32.row.col.f32.e5m2.e4m3.f32",
     16,
     32,
     Kind::E5m2,
     Kind::E4m3,
     Kind::F32,
     a_four_registers<4>,
     b_double<4>}};

// A fragment in the registers of the 32 lanes, 64 bits for each register.
struct Fragment {
  int registers;
  int elements;   // of a lane
  bool wide;
  std::vector<uint64_t> values;   // [lane, register]
};
Fragment fragment_of(Kind k, int elements) {
  const int per = std::max(1, 32 / bits_of(k));
  return {elements / per, elements, bits_of(k) == 64, std::vector<uint64_t>(size_t(kLanes * elements / per))};
}
template <class Value>   // value(row, column)
Fragment filled(Kind k, int elements, FragmentFormula formula, const Value& value) {
  Fragment f = fragment_of(k, elements);
  const int per = elements / f.registers;
  for (int lane = 0; lane < kLanes; ++lane)
    for (int i = 0; i < elements; ++i) {
      const Element e = formula(lane, i);
      f.values[size_t(lane * f.registers + i / per)] |= encoded(k, value(e.row, e.column)) << (i % per * bits_of(k));
    }
  return f;
}

// D of the instruction, by rows and columns; empty if it does not run.
std::vector<std::vector<double>> multiply(const Form& form, const Fragment& a, const Fragment& b, const Fragment& c) {
  constexpr int kWords = 32;   // of a lane: a, b, c, d, eight each
  std::vector<uint64_t> words(kLanes * kWords);
  const Fragment* all[] = {&a, &b, &c};
  std::string declare = "{";
  std::string load;
  constexpr const char* kNames[] = {"%ra", "%rb", "%rc"};
  for (int part = 0; part < 3; ++part) {
    const Fragment& f = *all[part];
    declare += std::string(" .reg .b") + (f.wide ? "64 " : "32 ") + kNames[part] + "<8>;";
    for (int r = 0; r < f.registers; ++r) {
      load += std::string("ld.global.b") + (f.wide ? "64 " : "32 ") + kNames[part] + std::to_string(r) + ", [%out+" +
              std::to_string(8 * (8 * part + r)) + "];\n";
      for (int lane = 0; lane < kLanes; ++lane)
        words[size_t(lane * kWords + 8 * part + r)] = f.values[size_t(lane * f.registers + r)];
    }
  }
  const std::string width = c.wide ? "64" : "32";
  std::string store;
  for (int r = 0; r < c.registers; ++r)
    store += "st.global.b" + width + " [%out+" + std::to_string(8 * (24 + r)) + "], %rd" + std::to_string(r) + ";\n";
  const auto out = run_ptx(
      declare + " .reg .b" + width + " %rd<8>;\nmul.wide.u32 %lx, %x, 256;\nadd.u64 %out, %out, %lx;\n" + load +
          "mma.sync.aligned." + form.name + " " + registers("%rd", c.registers) + ", " + registers("%ra", a.registers) +
          ", " + registers("%rb", b.registers) + ", " + registers("%rc", c.registers) + ";\n" + store + "}",
      words,
      kLanes);
  std::vector<std::vector<double>> d(out.empty() ? 0 : size_t(form.m), std::vector<double>(8));
  const int per = c.elements / c.registers;
  for (int lane = 0; lane < kLanes && !d.empty(); ++lane)
    for (int i = 0; i < c.elements; ++i) {
      const Element e = form.m == 8 ? few_rows_sum(lane, i) : many_rows_sum(lane, i);
      const uint64_t bits = out[size_t(lane * kWords + 24 + i / per)] >> (i % per * bits_of(form.sum));
      d[size_t(e.row)][size_t(e.column)] = decoded(form.sum, bits);
    }
  return d;
}

void products() {
  for (const Form& form : kForms) {
    std::mt19937 g{3};
    const auto random = [&](Kind k) {
      return double(int(g() % unsigned(most_of(k) - least_of(k) + 1)) + int(least_of(k)));
    };
    std::vector<double> a(size_t(form.m * form.k));
    std::vector<double> b(size_t(form.k) * 8);
    std::vector<double> c(size_t(form.m) * 8);
    for (double& v : a)
      v = random(form.a);
    for (double& v : b)
      v = random(form.b);
    for (double& v : c)
      v = double(int(g() % 41) - 20);
    const bool few = form.m == 8;
    const auto d = multiply(
        form,
        filled(form.a, form.m * form.k / kLanes, form.of_a, [&](int r, int k) { return a[size_t(r * form.k + k)]; }),
        filled(form.b, form.k / 4, form.of_b, [&](int k, int n) { return b[size_t(k * 8 + n)]; }),
        filled(form.sum, form.m / 4, few ? few_rows_sum : many_rows_sum, [&](int r, int n) {
          return c[size_t(r * 8 + n)];
        }));
    const bool xors = std::strstr(form.name, "xor");
    int wrong = d.empty();
    for (int r = 0; r < form.m && !d.empty(); ++r)
      for (int n = 0; n < 8; ++n) {
        double sum = c[size_t(r * 8 + n)];
        for (int k = 0; k < form.k; ++k) {
          const double x = a[size_t(r * form.k + k)];
          const double y = b[size_t(k * 8 + n)];
          sum += xors ? double(x != y) : x * y;
        }
        wrong += d[size_t(r)][size_t(n)] != sum;
      }
    check(!wrong, std::string("mma.") + form.name + ": " + std::to_string(wrong) + " wrong");
  }
}

// "mma": sums of integers wrap around, with .satfinite they stop at the ends of s32.
void overflow() {
  for (bool saturates : {false, true})
    for (int sign : {1, -1}) {
      const std::string name =
          saturates ? "m16n8k32.row.col.satfinite.s32.s8.s8.s32" : "m16n8k32.row.col.s32.s8.s8.s32";
      const Form form{name.c_str(), 16, 32, Kind::S8, Kind::S8, Kind::S32, a_four_registers<4>, b_double<4>};
      const double near = sign > 0 ? 2147483647 - 1000 : -2147483648.0 + 1000;
      const auto d = multiply(
          form,
          filled(form.a, 16, form.of_a, [](int, int) { return 100; }),
          filled(form.b, 8, form.of_b, [&](int, int) { return sign; }),
          filled(form.sum, 4, many_rows_sum, [&](int, int) { return near; }));
      double wanted = near + sign * 3200.0;
      if (saturates)
        wanted = sign > 0 ? 2147483647 : -2147483648.0;
      else
        wanted -= sign * 4294967296.0;
      check(!d.empty() && d[3][5] == wanted && d[15][7] == wanted, "mma." + name + " beyond s32");
    }
}
}   // namespace

TEST_GROUP(ptx_matrix_forms) {
  layouts<1>();
  layouts<2>();
  layouts<4>();
  layouts<8>();
  layouts<32>();
  products();
  overflow();
}
