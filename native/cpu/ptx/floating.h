// The float forms of instructions that integers have too (floating.cpp), and their forms for 16-bit floats
// (half_arithmetic.cpp).
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

bool names_half_form(const Builder&);
void build_half_add(Builder&);
void build_half_sub(Builder&);
void build_half_mul(Builder&);
void build_half_fma(Builder&);
void build_half_neg(Builder&);
void build_half_abs(Builder&);
void build_half_min(Builder&);
void build_half_max(Builder&);
void build_half_ex2(Builder&);
void build_half_tanh(Builder&);
}   // namespace spectral::cpu::ptx
