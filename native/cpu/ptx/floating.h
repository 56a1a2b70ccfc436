// The float forms of instructions that integers have too, each in floating.cpp.
#pragma once
#include "builder.h"

namespace spectral::cpu::ptx {
bool names_float_form(const Builder&);   // the instruction's type, its last modifier, is one of floats
void build_float_add(Builder&);
void build_float_sub(Builder&);
void build_float_mul(Builder&);
void build_float_fma(Builder&);
void build_float_div(Builder&);
void build_float_abs(Builder&);
void build_float_neg(Builder&);
void build_float_min(Builder&);
void build_float_max(Builder&);
}   // namespace spectral::cpu::ptx
