// The product's probe of Hopper's layouts, for the native tests.
#include "../../kernels/hopper_probe_sm90.cu"
