// The host cost of a kernel launch from C, to hold the cost from C# against:
//   spectral_launch_cost DRIVER IMAGE ENTRY ORDINAL LAUNCHES SAMPLES
// loads the driver library, the module in the file IMAGE (PTX, or the CPU device's kernels) and its kernel ENTRY, and
// prints for each sample the microseconds per launch of LAUNCHES launches in a row: making the context current and
// cuLaunchKernel, what one launch from C# does. The kernel gets 64 bytes of zeros as its argument, one block of 32
// threads.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void* library;

static void* function(const char* name) {
  void* found = dlsym(library, name);
  if (!found) {
    fprintf(stderr, "%s is missing in the driver library\n", name);
    exit(1);
  }
  return found;
}

static void expect(int status, const char* call) {
  if (status == 0)
    return;
  fprintf(stderr, "%s: status %d\n", call, status);
  exit(1);
}

static double microseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return 1e6 * (double)now.tv_sec + 1e-3 * (double)now.tv_nsec;
}

int main(int count, char** arguments) {
  if (count != 7) {
    fprintf(stderr, "usage: %s DRIVER IMAGE ENTRY ORDINAL LAUNCHES SAMPLES\n", arguments[0]);
    return 2;
  }
  library = dlopen(arguments[1], RTLD_NOW);
  if (!library) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  int (*init)(unsigned) = (int (*)(unsigned))function("cuInit");
  int (*retain)(void**, int) = (int (*)(void**, int))function("cuDevicePrimaryCtxRetain");
  int (*set_current)(void*) = (int (*)(void*))function("cuCtxSetCurrent");
  int (*load)(void**, const char*) = (int (*)(void**, const char*))function("cuModuleLoad");
  int (*find)(void**, void*, const char*) = (int (*)(void**, void*, const char*))function("cuModuleGetFunction");
  int (*synchronize)(void*) = (int (*)(void*))function("cuStreamSynchronize");
  int (*launch)(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**) =
      (int (*)(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**))
          function("cuLaunchKernel");
  void *context, *module, *kernel;
  expect(init(0), "cuInit");
  expect(retain(&context, atoi(arguments[4])), "cuDevicePrimaryCtxRetain");
  expect(set_current(context), "cuCtxSetCurrent");
  expect(load(&module, arguments[2]), "cuModuleLoad");
  expect(find(&kernel, module, arguments[3]), "cuModuleGetFunction");

  int launches = atoi(arguments[5]);
  int samples = atoi(arguments[6]);
  char argument[64] = {0};
  void* parameters[] = {argument};
  for (int sample = -1; sample < samples; sample++) {   // the first, -1, warms up
    double start = microseconds();
    for (int i = 0; i < launches; i++) {
      expect(set_current(context), "cuCtxSetCurrent");
      expect(launch(kernel, 1, 1, 1, 32, 1, 1, 0, NULL, parameters, NULL), "cuLaunchKernel");
    }
    double time = microseconds() - start;
    expect(synchronize(NULL), "cuStreamSynchronize");
    if (sample >= 0)
      printf("%.4f\n", time / launches);
  }
  return 0;
}
