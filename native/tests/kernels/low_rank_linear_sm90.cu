// The product kernel itself, for the native tests and their race detector.
#include "../../kernels/low_rank_linear_sm90.cu"
