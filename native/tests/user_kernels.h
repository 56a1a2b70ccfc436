// Kernels as users write them (native/tests/user-kernels), compiled by nvcc when the tests were built: each is run in
// every form, sm_70 to sm_90a, optimised and for a debugger, and compared with arithmetic of the host. All take
// (const In* in, Out* out, int n).
#pragma once
#include "host.h"
#include <functional>

struct UserLaunch {
  unsigned blocks = 1;
  unsigned threads = 128;
  unsigned shared = 0;
  unsigned rows_of_threads = 1;   // threads.y
  unsigned rows_of_blocks = 1;
  int n = 0;   // what the kernel is told; 0: how many values it takes
};

class UserModule {
 public:
  explicit UserModule(const std::string& name);   // of the file without .cu
  UserModule(const UserModule&) = delete;
  ~UserModule();

  struct Form {
    std::string name;   // sm_80, sm_80-debug
    CUmodule module;
  };
  const std::vector<Form>& forms() const { return forms_; }

  // The kernel's results from what `out` holds before are `wanted`, bit for bit.
  template <class Out, class In>
  void expect(
      const char* kernel, const std::vector<In>& in, const std::vector<Out>& out, UserLaunch shape,
      const std::vector<Out>& wanted) {
    run<Out>(kernel, in, out, shape, [&](const std::vector<Out>& got, const std::string& what) {
      expect_equal(got, wanted, what);
    });
  }
  template <class Out>
  static void expect_equal(const std::vector<Out>& got, const std::vector<Out>& wanted, const std::string& what) {
    size_t at = 0;
    while (at < got.size() && !std::memcmp(&got[at], &wanted[at], sizeof(Out)))
      ++at;
    check(
        at == got.size(),
        what + (at == got.size() ? std::string()
                                 : ": value " + std::to_string(at) + " is " + std::to_string(got[at]) + ", not " +
                                       std::to_string(wanted[at])));
  }
  // f(results, what ran) in each form that has the kernel.
  template <class Out, class In, class F>
  void run(const char* kernel, const std::vector<In>& in, const std::vector<Out>& out, UserLaunch shape, F f) {
    for (const Form& form : forms_) {
      const std::string what = std::string(kernel) + " of " + form.name;
      const Buffer<In> from(in);
      const Buffer<Out> to(out);
      if (launch(form, kernel, from.p, to.p, shape.n ? shape.n : int(in.size()), shape))
        f(to.get(), what);
    }
  }

 private:
  bool launch(const Form&, const char* kernel, CUdeviceptr in, CUdeviceptr out, int n, UserLaunch);
  std::vector<Form> forms_;
};
