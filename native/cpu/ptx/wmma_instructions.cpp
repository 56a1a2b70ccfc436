// wmma: products of matrices in fragments whose layout is the device's own. PTX ISA, "Warp Level Matrix Multiply-
// Accumulate Operation Using wmma Instructions". Here a lane's elements follow each other along the rows, in B
// along the columns; a fragment with more registers than the matrix needs has each element several times.
#include "barriers.h"
#include "matrix_elements.h"

namespace spectral::cpu::ptx {
namespace {
struct Fragment {
  int rows, columns, registers;
  Element element;
  bool by_columns;   // the order of its elements

  int per_lane() const { return rows * columns / 32; }
  // Row and column of a lane's element.
  std::pair<int, int> place_of(int lane, int i) const {
    const int at = lane * per_lane() + i % per_lane();
    return by_columns ? std::pair{at % rows, at / rows} : std::pair{at / columns, at % columns};
  }
  // f(register, index in it, row, column) for all that a lane holds.
  template <class F>
  void each(int lane, F f) const {
    const int n = per_register(element);
    for (int i = 0; i < registers * n; ++i) {
      const auto [row, column] = place_of(lane, i);
      f(i / n, i % n, row, column);
    }
  }
  bool fits() const {
    const int held = 32 * registers * per_register(element);
    return rows && held % (rows * columns) == 0 && held >= rows * columns;
  }
};

// ---- load, store
enum WmmaFlag : uint32_t { kByColumns = 8, kStores = 16 };
constexpr int kShapes[][3] = {{16, 16, 16}, {32, 8, 16}, {8, 32, 16}, {16, 16, 8}, {8, 8, 4}, {8, 8, 32}, {8, 8, 128}};
enum class Role : uint8_t { A, B, Sums };
Fragment fragment_of(const MatrixShape& s, Role role, Element e, int registers) {
  switch (role) {
    case Role::A: return {s.m, s.k, registers, e, false};
    case Role::B: return {s.k, s.n, registers, e, true};
    case Role::Sums: break;
  }
  return {s.m, s.n, registers, e, false};
}
// A step's matrix: shape, role and element of its value.
struct PackedForm {
  uint8_t m, n, k, registers;
  Role role;
  Element element;
  Space space;
  uint8_t unused;
};
static_assert(sizeof(PackedForm) == sizeof(int64_t));
Fragment unpacked(const PackedForm& f) { return fragment_of({f.m, f.n, f.k}, f.role, f.element, f.registers); }

void reach_space(Warp& w, const Step& s, Space space, uint64_t* at, unsigned bytes, Effect effect) {
  SpaceMasks in{};
  if (space == Space::Shared) {
    locate_shared(w, s, at, bytes);
    in.shared = w.mask;
  } else if (space == Space::Global) {
    locate_global(w, s, at, bytes);
    in.global = w.mask;
  } else {
    in = locate_generic(w, s, at, bytes);
  }
  if (w.block().counters())
    count_access(w, at, in, bytes, effect);
}
// List: the registers, then the address, its offset and the stride in elements.
void move_fragment(Warp& w, const Step& s) {
  if (!whole_warp(w, s, s.flags & kStores ? "wmma.store" : "wmma.load"))
    return;
  const auto form = std::bit_cast<PackedForm>(s.value);
  const Fragment fragment = unpacked(form);
  const uint32_t* places = w.list(s);
  const uint32_t* address = places + fragment.registers;
  const uint64_t offset = w.lanes<uint64_t>(address[1])[0];
  const uint32_t* strides = w.lanes<uint32_t>(address[2]);
  const int bits = bits_of(form.element);
  const auto size = unsigned(std::max(bits / 8, bits < 8 ? 4 : 1));   // elements below a byte move by registers
  const int n = bits < 8 ? 1 : per_register(form.element);
  for (int r = 0; r < fragment.registers; ++r)
    for (int i = 0; i < n; ++i) {
      uint64_t at[32];
      for (int lane = 0; lane < 32; ++lane) {
        const auto [row, column] = fragment.place_of(lane, r * per_register(form.element) + i);
        const bool by_columns = s.flags & kByColumns;
        const uint64_t index =
            uint64_t(by_columns ? column : row) * strides[lane] + uint64_t(by_columns ? row : column);
        const uint64_t base =
            s.flags & kNarrowAddress ? w.lanes<uint32_t>(address[0])[lane] : w.lanes<uint64_t>(address[0])[lane];
        at[lane] = base + offset + index * uint64_t(bits) / 8;
      }
      reach_space(w, s, form.space, at, size, s.flags & kStores ? Effect::Writes : Effect::Reads);
      for (int lane = 0; lane < 32; ++lane) {
        auto* bytes = size == 8 ? reinterpret_cast<unsigned char*>(&w.lanes<uint64_t>(places[r])[lane])
                                : reinterpret_cast<unsigned char*>(&w.lanes<uint32_t>(places[r])[lane]) + i * int(size);
        if (s.flags & kStores)
          std::memcpy(reinterpret_cast<void*>(at[lane]), bytes, size);
        else
          std::memcpy(bytes, reinterpret_cast<const void*>(at[lane]), size);
      }
    }
}
// The index of a shape, or their number if it is none.
size_t shape_index(const MatrixShape& s) {
  const auto* found = std::find_if(std::begin(kShapes), std::end(kShapes), [&](const int(&k)[3]) {
    return s.m == k[0] && s.n == k[1] && s.k == k[2];
  });
  return size_t(found - std::begin(kShapes));
}
void build_move(Builder& b, bool stores) {
  const int role = stores ? (b.take("d") ? 2 : -1) : b.take_one_of({"a", "b", "c"});
  b.take("sync");
  b.take("aligned");
  const int layout = b.take_one_of({"row", "col"});
  const MatrixShape shape = take_shape(b);
  Space space = b.take_space();
  const int element = take_element(b);
  if (role < 0 || layout < 0 || shape_index(shape) == std::size(kShapes) || element < 0)
    b.fail("this fragment is not supported");
  if (bits_of(Element(element)) < 8 && layout != (role == int(Role::B)))
    b.fail("elements below a byte lie as A by rows, B by columns");
  b.expect_operands(2, 3);
  const size_t values = stores ? 1 : 0;
  const size_t at = stores ? 0 : 1;
  std::vector<uint32_t> places;
  const size_t n = add_fragment(b, values, register_type(Element(element)), !stores, places);
  const PackedForm form{
      uint8_t(shape.m), uint8_t(shape.n), uint8_t(shape.k), uint8_t(n), Role(role), Element(element), space, 0};
  const Fragment fragment = unpacked(form);
  if (!fragment.fits())
    b.fail(b.operand(values), "a fragment has another number of registers");
  const MemoryOperand memory = b.memory(at);
  places.push_back(memory.base);
  places.push_back(b.constant(uint64_t(memory.offset), true));
  const auto tight = uint64_t(layout ? fragment.rows : fragment.columns);
  places.push_back(b.count() > 2 ? b.read(2, Type::U32) : b.constant(tight, false));
  const uint32_t list = b.list(places);
  Step& s = b.emit(&move_fragment);
  s.list = list;
  s.value = std::bit_cast<int64_t>(form);
  s.flags =
      (layout ? kByColumns : 0u) | (stores ? uint32_t(kStores) : 0u) | (memory.wide ? 0u : uint32_t(kNarrowAddress));
}

// ---- mma
struct MultiplyForm {
  uint8_t shape, flags, registers_a, registers_b;
  Element a, b, c, d;
};
static_assert(sizeof(MultiplyForm) == sizeof(int64_t));
int sums_registers(const MatrixShape& s, Element e) { return s.m * s.n / 32 / per_register(e); }

template <class T>
void multiply(Warp& w, const Step& s) {
  if (!whole_warp(w, s, "wmma.mma"))
    return;
  const auto form = std::bit_cast<MultiplyForm>(s.value);
  const MatrixShape shape{kShapes[form.shape][0], kShapes[form.shape][1], kShapes[form.shape][2]};
  const Fragment a = fragment_of(shape, Role::A, form.a, form.registers_a);
  const Fragment b = fragment_of(shape, Role::B, form.b, form.registers_b);
  const Fragment c = fragment_of(shape, Role::Sums, form.c, sums_registers(shape, form.c));
  const Fragment d = fragment_of(shape, Role::Sums, form.d, sums_registers(shape, form.d));
  DenseProduct<T, 32, 32, std::is_integral_v<T> ? 128 : 16> p;
  const uint32_t* of_a = w.list(s);
  const uint32_t* of_b = of_a + a.registers;
  const uint32_t* of_c = of_b + b.registers;
  const uint32_t* of_d = of_c + c.registers;
  for (int lane = 0; lane < 32; ++lane) {
    a.each(lane, [&](int r, int i, int row, int column) {
      p.a[row][column] = element_of<T>(w, of_a[r], lane, a.element, i);
    });
    b.each(lane, [&](int r, int i, int row, int column) {
      p.b[row][column] = element_of<T>(w, of_b[r], lane, b.element, i);
    });
    c.each(lane, [&](int r, int i, int row, int column) {
      p.d[row][column] = element_of<T>(w, of_c[r], lane, c.element, i);
    });
  }
  p.multiply(shape.m, shape.n, shape.k, form.flags);
  for (int lane = 0; lane < 32; ++lane)
    d.each(lane, [&](int r, int i, int row, int column) {
      set_element<T>(w, of_d[r], lane, d.element, i, p.d[row][column]);
    });
}

// Sums of integers are in s32, of f64 in f64, of the others in f32, or for f16 in f16. Only elements below a byte are
// deeper than 16.
bool go_together(const MultiplyForm& f, const MatrixShape& shape) {
  auto sums_are = [&](Element e) { return f.c == e && f.d == e; };
  auto is_float_sum = [](Element e) { return e == Element::F16 || e == Element::F32; };
  if (bits_of(f.a) < 8)
    return f.a == f.b && sums_are(Element::S32) && shape.k == (f.a == Element::B1 ? 128 : 32);
  if (shape.k > 16)
    return false;
  switch (f.a) {
    case Element::S8:
    case Element::U8: return f.a == f.b && sums_are(Element::S32);
    case Element::F64: return f.a == f.b && sums_are(Element::F64);
    case Element::F16: return f.a == f.b && is_float_sum(f.c) && is_float_sum(f.d);
    case Element::Bf16:
    case Element::Tf32: return f.a == f.b && sums_are(Element::F32);
    default: return false;
  }
}
void build_multiply(Builder& b) {
  const int bits = b.take_one_of({"xor", "and"});
  if (bits >= 0 && !b.take("popc"))
    b.fail("expected .popc");
  b.take("sync");
  b.take("aligned");
  const bool layouts = b.take_one_of({"row", "col"}) >= 0 && b.take_one_of({"row", "col"}) >= 0;
  const MatrixShape shape = take_shape(b);
  int elements[4] = {take_element(b), take_element(b), -1, -1};
  const int third = take_element(b);
  if (third < 0) {   // f16: the types of d and c alone
    elements[3] = elements[1];
    elements[1] = elements[2] = int(Element::F16);
  } else {
    elements[2] = third;
    elements[3] = take_element(b);
  }
  const size_t index = shape_index(shape);
  MultiplyForm form{
      uint8_t(index),
      uint8_t(b.take("satfinite") ? kSaturatesSums : 0),
      0,
      0,
      Element(elements[1]),
      Element(elements[2]),
      Element(elements[3]),
      Element(elements[0])};
  const bool known = std::all_of(std::begin(elements), std::end(elements), [](int e) { return e >= 0; });
  if (bits >= 0)
    form.flags |= bits ? kAndBits : kXorBits;
  b.take("rn");
  if (!known || !layouts || index == std::size(kShapes) || (form.a == Element::B1) != (bits >= 0) ||
      !go_together(form, shape))
    b.fail("this shape and these types are not supported");
  b.expect_operands(4);
  std::vector<uint32_t> places, to;
  form.registers_a = uint8_t(add_fragment(b, 1, register_type(form.a), false, places));
  form.registers_b = uint8_t(add_fragment(b, 2, register_type(form.b), false, places));
  if (!fragment_of(shape, Role::A, form.a, form.registers_a).fits() ||
      !fragment_of(shape, Role::B, form.b, form.registers_b).fits())
    b.fail("a fragment has another number of registers");
  expect_fragment(b, 3, size_t(sums_registers(shape, form.c)), register_type(form.c), false, places);
  expect_fragment(b, 0, size_t(sums_registers(shape, form.d)), register_type(form.d), true, to);
  places.insert(places.end(), to.begin(), to.end());
  const uint32_t list = b.list(places);
  Run run = &multiply<float>;
  if (form.c == Element::F64)
    run = &multiply<double>;
  else if (form.c == Element::S32)
    run = &multiply<int32_t>;
  Step& s = b.emit(run);
  s.list = list;
  s.value = std::bit_cast<int64_t>(form);
  if (form.c != Element::S32)
    s.operations = uint16_t(2 * shape.m * shape.n * shape.k / 32);
}
void build_wmma(Builder& b) {
  switch (b.take_one_of({"load", "store", "mma"})) {
    case 0: return build_move(b, false);
    case 1: return build_move(b, true);
    case 2: return build_multiply(b);
    default: b.fail("expected .load, .store or .mma");
  }
}

constexpr InstructionRow kRows[] = {{"wmma", StepClass::Mma, build_wmma}};
}   // namespace

InstructionTable wmma_instructions() { return {kRows, std::size(kRows)}; }
}   // namespace spectral::cpu::ptx
