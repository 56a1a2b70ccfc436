#include "module.h"

namespace spectral::cpu::ptx {
namespace {
struct TypeRow {
  Type type;
  const char* name;
  int bytes;
};
constexpr TypeRow kTypes[] = {
    {Type::None, "none", 0},     {Type::Pred, "pred", 0},    {Type::B8, "b8", 1},       {Type::B16, "b16", 2},
    {Type::B32, "b32", 4},       {Type::B64, "b64", 8},      {Type::B128, "b128", 16},  {Type::U8, "u8", 1},
    {Type::U16, "u16", 2},       {Type::U32, "u32", 4},      {Type::U64, "u64", 8},     {Type::S8, "s8", 1},
    {Type::S16, "s16", 2},       {Type::S32, "s32", 4},      {Type::S64, "s64", 8},     {Type::U16x2, "u16x2", 4},
    {Type::S16x2, "s16x2", 4},   {Type::F16, "f16", 2},      {Type::F16x2, "f16x2", 4}, {Type::BF16, "bf16", 2},
    {Type::BF16x2, "bf16x2", 4}, {Type::F32, "f32", 4},      {Type::F64, "f64", 8},     {Type::TF32, "tf32", 4},
    {Type::E4M3x2, "e4m3x2", 2}, {Type::E5M2x2, "e5m2x2", 2}};
const TypeRow& row(Type t) { return kTypes[size_t(t)]; }
}   // namespace

Type type_named(std::string_view name) {
  for (const TypeRow& r : kTypes)
    if (r.type != Type::None && name == r.name)
      return r.type;
  return Type::None;
}
const char* name_of(Type t) { return row(t).name; }
int bytes_of(Type t) { return row(t).bytes; }
bool is_signed(Type t) { return t == Type::S8 || t == Type::S16 || t == Type::S32 || t == Type::S64; }
Type twice(Type t) {
  switch (t) {
    case Type::U8: return Type::U16;
    case Type::U16: return Type::U32;
    case Type::U32: return Type::U64;
    case Type::S8: return Type::S16;
    case Type::S16: return Type::S32;
    case Type::S32: return Type::S64;
    default: return Type::None;
  }
}
bool is_float(Type t) { return t >= Type::F16; }
bool is_half(Type t) { return t == Type::F16 || t == Type::BF16; }
bool is_half_pair(Type t) { return t == Type::F16x2 || t == Type::BF16x2; }

const char* name_of(Space s) {
  switch (s) {
    case Space::Generic: return "generic";
    case Space::Param: return "param";
    case Space::Const: return "const";
    case Space::Global: return "global";
    case Space::Local: return "local";
    case Space::Shared: return "shared";
  }
  return "";
}

std::string Instruction::spelling() const {
  std::string s(opcode);
  for (std::string_view m : modifiers)
    s.append(".").append(m);
  return s;
}
}   // namespace spectral::cpu::ptx
