// Which element of a matrix a thread's register holds: by the formulas of the PTX ISA, and by CuTe's layout algebra.
#pragma once
#include "ptx.h"

struct Element {
  int row = 0;
  int column = 0;
  bool operator==(const Element&) const = default;
};
// Where element `i` of the fragment of thread `thread` lies.
using FragmentFormula = Element (*)(int thread, int i);

// The same with rows and columns exchanged: CuTe keeps B as (n, k), the ISA as (k, n).
template <FragmentFormula kFormula>
Element exchanged(int thread, int i) {
  const Element e = kFormula(thread, i);
  return {e.column, e.row};
}

// A layout in CuTe's algebra: modes of an extent and a stride, the first the fastest, from a number to an offset.
struct CuteLayout {
  std::vector<std::pair<int, int>> modes;
  int operator()(int number) const {
    int offset = 0;
    for (const auto& [extent, stride] : modes) {
      offset += number % extent * stride;
      number /= extent;
    }
    return offset;
  }
};
// How CuTe's MMA traits write a fragment: (thread, value) to row + rows * column.
struct CuteFragment {
  int rows;
  CuteLayout thread;
  CuteLayout value;
  Element operator()(int t, int i) const {
    const int at = thread(t) + value(i);
    return {at % rows, at / rows};
  }
};
// One check: the two descriptions say the same of every element.
inline void check_same_fragment(
    const std::string& name, FragmentFormula isa, const CuteFragment& cute, int threads, int elements) {
  int wrong = 0;
  for (int t = 0; t < threads; ++t)
    for (int i = 0; i < elements; ++i)
      wrong += isa(t, i) != cute(t, i);
  check(!wrong, name + ": the ISA's formula and CuTe's layout, " + std::to_string(wrong) + " differ");
}

// PTX ISA, "Matrix Fragments for wgmma.mma_async.m64nNk16", accumulator D (a figure there), the same for every depth:
// warp w of the warpgroup has the rows 16 w ... 16 w + 15, eight columns after the other as D of mma.m16n8k16.
inline Element warpgroup_sum(int thread, int i) {
  const int lane = thread % 32;
  return {thread / 32 * 16 + lane / 4 + (i & 2 ? 8 : 0), i / 4 * 8 + lane % 4 * 2 + (i & 1)};
}

// The elements of two halves in a register, the first in the low bits.
inline uint32_t two_halves(uint16_t low, uint16_t high) { return uint32_t(high) << 16 | low; }

// Text of `count` registers `name`0, `name`1, ... in braces.
inline std::string registers(const std::string& name, int count) {
  std::string text = "{";
  for (int i = 0; i < count; ++i)
    text += (i ? ", " : "") + name + std::to_string(i);
  return text + "}";
}
// Instructions that load or store them one by one, 4 bytes apart from `address`.
inline std::string load_registers(const std::string& name, int count, const std::string& address, int first = 0) {
  std::string text;
  for (int i = 0; i < count; ++i)
    text +=
        "ld.global.b32 " + name + std::to_string(i) + ", [" + address + "+" + std::to_string(first + 4 * i) + "];\n";
  return text;
}
inline std::string store_registers(const std::string& name, int count, const std::string& address, int first = 0) {
  std::string text;
  for (int i = 0; i < count; ++i)
    text +=
        "st.global.b32 [" + address + "+" + std::to_string(first + 4 * i) + "], " + name + std::to_string(i) + ";\n";
  return text;
}
// Runs `body` with a buffer of 32-bit words behind %out and returns it.
inline std::vector<uint32_t> run_words(
    const std::string& body, const std::vector<uint32_t>& words, unsigned threads, unsigned blocks = 1,
    const std::string& variables = "", const std::string& directives = "") {
  std::vector<uint64_t> pairs((words.size() + 1) / 2);
  std::memcpy(pairs.data(), words.data(), words.size() * 4);
  const auto out = run_ptx(body, pairs, threads, blocks, variables, directives);
  std::vector<uint32_t> result(out.empty() ? 0 : words.size());
  std::memcpy(result.data(), out.data(), result.size() * 4);
  return result;
}
