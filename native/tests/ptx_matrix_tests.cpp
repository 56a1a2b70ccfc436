// The matrix instructions of a warp against the fragments of the PTX ISA ("Warp Level Matrix Instructions"), which are
// compared with CuTe's layouts of the same instructions (mma_traits_sm80, copy_traits_sm75) first.
#include "ptx_floats.h"
#include "ptx_fragments.h"

namespace {
constexpr int kLanes = 32;
int group(int lane) { return lane >> 2; }
int in_group(int lane) { return lane % 4; }

// PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type".
Element a_of_k16(int lane, int i) {
  const bool upper = i < 2 || (i >= 4 && i < 6);
  return {upper ? group(lane) : group(lane) + 8, in_group(lane) * 2 + (i & 1) + (i < 4 ? 0 : 8)};
}
Element b_of_k16(int lane, int i) { return {in_group(lane) * 2 + (i & 1) + (i < 2 ? 0 : 8), group(lane)}; }
Element accumulator(int lane, int i) { return {i < 2 ? group(lane) : group(lane) + 8, in_group(lane) * 2 + (i & 1)}; }
// PTX ISA, "Matrix Fragments for mma.m16n8k8", of .f16 and .bf16.
Element a_of_k8(int lane, int i) { return {i < 2 ? group(lane) : group(lane) + 8, in_group(lane) * 2 + (i & 1)}; }
Element b_of_k8(int lane, int i) { return {in_group(lane) * 2 + i, group(lane)}; }

void fragments() {
  const CuteLayout lanes_of_16{{{4, 32}, {8, 1}}};
  const CuteLayout lanes_of_8{{{4, 16}, {8, 1}}};
  check_same_fragment("A of m16n8k16", a_of_k16, {16, lanes_of_16, {{{2, 16}, {2, 8}, {2, 128}}}}, kLanes, 8);
  check_same_fragment("B of m16n8k16", exchanged<b_of_k16>, {8, lanes_of_8, {{{2, 8}, {2, 64}}}}, kLanes, 4);
  check_same_fragment("A of m16n8k8", a_of_k8, {16, lanes_of_16, {{{2, 16}, {2, 8}}}}, kLanes, 4);
  check_same_fragment("B of m16n8k8", exchanged<b_of_k8>, {8, lanes_of_8, {{{2, 8}}}}, kLanes, 2);
  check_same_fragment("C and D", accumulator, {16, lanes_of_16, {{{2, 16}, {2, 8}}}}, kLanes, 4);
}

// ---- mma
struct Shape {
  const char* name;
  int depth;
  FragmentFormula a;
  FragmentFormula b;
  int a_registers;
  int b_registers;
};
constexpr Shape kShapes[] = {{"m16n8k16", 16, a_of_k16, b_of_k16, 4, 2}, {"m16n8k8", 8, a_of_k8, b_of_k8, 2, 1}};

struct Matrices {
  uint16_t a[16][16] = {};   // bits
  uint16_t b[16][8] = {};
  float c[16][8] = {};
  float d[16][8] = {};
};
// D of the instruction, each operand where the ISA says that its element is. False if the kernel does not run.
bool multiply(const Shape& shape, const std::string& type, Matrices& m) {
  constexpr int kWords = 16;   // of a lane
  const int a_registers = shape.a_registers;
  const int b_registers = shape.b_registers;
  std::vector<uint32_t> words(kLanes * kWords);
  const auto put = [&](int lane, int first, int i, uint16_t bits) {
    words[size_t(lane * kWords + first + i / 2)] |= uint32_t(bits) << (i % 2 * 16);
  };
  for (int lane = 0; lane < kLanes; ++lane) {
    for (int i = 0; i < 2 * a_registers; ++i) {
      const Element e = shape.a(lane, i);
      put(lane, 0, i, m.a[e.row][e.column]);
    }
    for (int i = 0; i < 2 * b_registers; ++i) {
      const Element e = shape.b(lane, i);
      put(lane, 4, i, m.b[e.row][e.column]);
    }
    for (int i = 0; i < 4; ++i) {
      const Element e = accumulator(lane, i);
      words[size_t(lane * kWords + 8 + i)] = std::bit_cast<uint32_t>(m.c[e.row][e.column]);
    }
  }
  const auto out = run_words(
      "{ .reg .b32 %ra<4>, %rb<2>;\n.reg .f32 %fc<4>, %fd<4>;\nmul.wide.u32 %lx, %x, 64;\nadd.u64 %out, %out, %lx;\n" +
          load_registers("%ra", a_registers, "%out") + load_registers("%rb", b_registers, "%out", 16) +
          load_registers("%fc", 4, "%out", 32) + "mma.sync.aligned." + shape.name + ".row.col.f32." + type + "." +
          type + ".f32 " + registers("%fd", 4) + ", " + registers("%ra", a_registers) + ", " +
          registers("%rb", b_registers) + ", " + registers("%fc", 4) + ";\n" + store_registers("%fd", 4, "%out", 48) +
          "}",
      words,
      kLanes);
  if (out.empty())
    return false;
  for (int lane = 0; lane < kLanes; ++lane)
    for (int i = 0; i < 4; ++i) {
      const Element e = accumulator(lane, i);
      m.d[e.row][e.column] = std::bit_cast<float>(out[size_t(lane * kWords + 12 + i)]);
    }
  return true;
}

uint16_t to_half(const std::string& type, float v) {
  return type == "bf16" ? to_bf16(v) : std::bit_cast<uint16_t>(_Float16(v));
}
float from_half(const std::string& type, uint16_t bits) {
  return type == "bf16" ? from_bf16(bits) : float(std::bit_cast<_Float16>(bits));
}
template <class Number>
void fill(Matrices& m, const std::string& type, const Number& number) {
  for (auto& row : m.a)
    for (uint16_t& v : row)
      v = to_half(type, number());
  for (auto& row : m.b)
    for (uint16_t& v : row)
      v = to_half(type, number());
  for (auto& row : m.c)
    for (float& v : row)
      v = number();
}

// PTX ISA, "mma": sums of small integers are exact in any order, so each element must be in its place. Other sums are
// accumulated in at least single precision, in no stated order: within one rounding for each of the k + 1 terms.
void products() {
  for (const Shape& shape : kShapes)
    for (const std::string type : {"bf16", "f16"}) {
      const std::string name = std::string("mma.") + shape.name + "." + type;
      std::mt19937 g{7};
      Matrices m;
      fill(m, type, [&] { return float(int(g() % 17) - 8); });
      bool ran = multiply(shape, type, m);
      int wrong = 0;
      for (int r = 0; r < 16; ++r)
        for (int c = 0; c < 8; ++c) {
          float sum = m.c[r][c];
          for (int k = 0; k < shape.depth; ++k)
            sum += from_half(type, m.a[r][k]) * from_half(type, m.b[k][c]);
          wrong += m.d[r][c] != sum;
        }
      check(ran && !wrong, name + " of integers: " + std::to_string(wrong) + " wrong");
      std::normal_distribution<float> normal;
      fill(m, type, [&] { return normal(g); });
      ran = multiply(shape, type, m);
      wrong = 0;
      for (int r = 0; r < 16; ++r)
        for (int c = 0; c < 8; ++c) {
          double sum = m.c[r][c];
          double size = std::fabs(sum);
          for (int k = 0; k < shape.depth; ++k) {
            const double product = double(from_half(type, m.a[r][k])) * double(from_half(type, m.b[k][c]));
            sum += product;
            size += std::fabs(product);
          }
          wrong += !(std::fabs(m.d[r][c] - sum) <= size * (shape.depth + 1) * 0x1p-24);
        }
      check(ran && !wrong, name + " of normals: " + std::to_string(wrong) + " wrong");
    }
}

// Infinities and NaN as IEEE 754 says of sums of products. Subnormal operands are not tested: the ISA leaves them open.
void special_values() {
  for (const Shape& shape : kShapes)
    for (const std::string type : {"bf16", "f16"}) {
      const auto half = [&](float v) { return to_half(type, v); };
      Matrices m;
      for (int k = 0; k < 16; ++k)
        for (int c = 0; c < 8; ++c)
          m.b[k][c] = half(c == 3 ? 0.f : 1.f);
      m.a[0][1] = half(kInf);            // inf, but for 0 in column 3
      m.a[1][2] = half(std::nanf(""));   // NaN
      m.a[2][0] = half(kInf);            // inf - inf
      m.a[2][shape.depth - 1] = half(-kInf);
      m.a[3][4] = half(-kInf);   // -inf
      m.c[4][5] = kInf;          // inf of C
      m.c[5][5] = std::nanf("");
      m.c[6][6] = -0.f;   // -0 + 0 = 0
      const bool ran = multiply(shape, type, m);
      int wrong = 0;
      for (int c = 0; c < 8; ++c) {
        wrong += c == 3 ? !std::isnan(m.d[0][c]) : m.d[0][c] != kInf;
        wrong += !std::isnan(m.d[1][c]);
        wrong += !std::isnan(m.d[2][c]);
        wrong += c == 3 ? !std::isnan(m.d[3][c]) : m.d[3][c] != -kInf;
        wrong += c == 5 ? m.d[4][c] != kInf : m.d[4][c] != 0;
        wrong += c == 5 ? !std::isnan(m.d[5][c]) : m.d[5][c] != 0;
        wrong += bits_of(m.d[6][c]) != 0;
      }
      check(ran && !wrong, std::string("mma.") + shape.name + "." + type + " of infinities and NaN");
    }
}

// ---- ldmatrix and stmatrix
constexpr int kRows = 64;          // of 16 bytes in shared memory
constexpr int kSink = kRows * 4;   // a lane's registers follow from this word on
// The row in shared memory whose address lane `lane` gives: no order, and none twice.
int row_of(int lane) { return (lane * 27 + 5) % kRows; }

// Kernel: copies rows to shared memory, has each lane below `addresses` give the address of its row (the others give an
// odd one, which must not matter), runs `code`, and stores shared memory or registers.
std::vector<uint32_t> run_matrices(const std::string& code, int addresses, bool loads, std::vector<uint32_t> words) {
  words.resize(kSink + kLanes * 4);
  const std::string prologue =
      "{ .reg .b32 %r<4>;\nmov.u32 %a, s;\nmul.lo.u32 %b, %x, 32;\nadd.u32 %b, %a, %b;\nmul.wide.u32 %la, %x, 32;\n"
      "add.u64 %la, %out, %la;\n";
  std::string copy_in;
  std::string copy_out;
  for (int i = 0; i < 8; ++i) {
    const std::string at = std::to_string(4 * i);
    copy_in += "ld.global.b32 %c, [%la+" + at + "];\nst.shared.b32 [%b+" + at + "], %c;\n";
    copy_out += "ld.shared.b32 %c, [%b+" + at + "];\nst.global.b32 [%la+" + at + "], %c;\n";
  }
  const std::string address =
      "mad.lo.u32 %d, %x, 27, 5;\nand.b32 %d, %d, 63;\nmad.lo.u32 %d, %d, 16, %a;\nsetp.ge.u32 %p, %x, " +
      std::to_string(addresses) + ";\n@%p mov.u32 %d, 1;\nmul.wide.u32 %lb, %x, 16;\nadd.u64 %lb, %out, %lb;\n";
  const std::string sink = std::to_string(4 * kSink);
  return run_words(
      prologue + copy_in + "bar.warp.sync -1;\n" + address + (loads ? "" : load_registers("%r", 4, "%lb", 4 * kSink)) +
          code + "\nbar.warp.sync -1;\n" + copy_out + (loads ? store_registers("%r", 4, "%lb", 4 * kSink) : "") + "}",
      words,
      kLanes,
      1,
      ".shared .align 128 .b8 s[1024];\n");
}

// PTX ISA, "ldmatrix" and "stmatrix": lanes 8 m ... 8 m + 7 give the rows of matrix m; of each, a lane has two elements
// of row lane / 4, or with .trans of column lane / 4. CuTe's copy traits say the same as offsets of bits.
Element element_of(int lane, int i, bool transposed) {
  const Element e{group(lane), in_group(lane) * 2 + i};
  return transposed ? Element{e.column, e.row} : e;
}
void loads_and_stores() {
  const CuteFragment straight{8, {{{32, 2}}}, {{{2, 1}}}};   // row-major: column + 8 * row, so {column, row}
  const CuteFragment turned{8, {{{4, 16}, {8, 1}}}, {{{2, 8}}}};
  int differ = 0;
  for (int lane = 0; lane < kLanes; ++lane)
    for (int i = 0; i < 2; ++i)
      for (bool transposed : {false, true}) {
        const Element e = (transposed ? turned : straight)(lane, i);
        differ += element_of(lane, i, transposed) != Element{e.column, e.row};
      }
  check(!differ, "fragments of ldmatrix: the ISA's and CuTe's, " + std::to_string(differ) + " differ");

  std::vector<uint32_t> words(kSink + kLanes * 4);
  std::mt19937 g{11};
  for (uint32_t& w : words)
    w = g();
  const auto half_of = [](const std::vector<uint32_t>& of, int row, int column) {
    return uint16_t(of[size_t(row * 4 + column / 2)] >> (column % 2 * 16));
  };
  for (int count : {1, 2, 4})
    for (bool transposed : {false, true}) {
      const std::string form = ".sync.aligned.m8n8.x" + std::to_string(count) + (transposed ? ".trans" : "");
      const std::string list = registers("%r", count);
      const auto loaded = run_matrices("ldmatrix" + form + ".shared.b16 " + list + ", [%d];", 8 * count, true, words);
      int wrong = loaded.empty();
      for (int lane = 0; lane < kLanes && !loaded.empty(); ++lane)
        for (int matrix = 0; matrix < count; ++matrix)
          for (int i = 0; i < 2; ++i) {
            const Element e = element_of(lane, i, transposed);
            const uint16_t wanted = half_of(words, row_of(8 * matrix + e.row), e.column);
            wrong += uint16_t(loaded[size_t(kSink + lane * 4 + matrix)] >> (16 * i)) != wanted;
          }
      check(!wrong, "ldmatrix" + form + ": " + std::to_string(wrong) + " wrong");

      const auto stored = run_matrices("stmatrix" + form + ".shared.b16 [%d], " + list + ";", 8 * count, false, words);
      auto wanted = words;
      for (int lane = 0; lane < kLanes; ++lane)
        for (int matrix = 0; matrix < count; ++matrix)
          for (int i = 0; i < 2; ++i) {
            const Element e = element_of(lane, i, transposed);
            const uint32_t bits = uint16_t(words[size_t(kSink + lane * 4 + matrix)] >> (16 * i));
            uint32_t& word = wanted[size_t(row_of(8 * matrix + e.row) * 4 + e.column / 2)];
            word = e.column % 2 ? (word & 0xffff) | bits << 16 : (word & 0xffff0000) | bits;
          }
      check(stored == wanted, "stmatrix" + form);
    }
}
}   // namespace

TEST_GROUP(ptx_matrices) {
  fragments();
  products();
  special_values();
  loads_and_stores();
}
