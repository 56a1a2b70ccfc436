// Products of bf16 operands by oneDNN's matmul. Making one compiles machine code for its shape, half a millisecond, so
// each thread keeps those that it has made. Of the C interface this uses what releases 2 and 3 share, and of what they
// do not share either form: a memory descriptor is a struct of the caller in 2 and an object of the library in 3.
#include "onednn.h"
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

namespace spectral::cpu {
namespace {
// Values of dnnl_types.h that are the same in both releases.
constexpr int kCpu = 1;              // dnnl_cpu
constexpr int kInOrder = 1;          // dnnl_stream_in_order
constexpr int kBf16 = 2;             // dnnl_bf16
constexpr int kF32 = 3;              // dnnl_f32
constexpr int kScratchpad = 136;     // dnnl_query_scratchpad_md
constexpr int kUserScratchpad = 1;   // dnnl_scratchpad_mode_user: a thread's own, so that threads do not share one
enum Argument : int { kSource = 1, kDestination = 17, kWeights = 33, kScratch = 80 };

// Of release 2: dnnl_memory_desc_t has 696 bytes in 2.6 and dnnl_matmul_desc_t 2800; the library writes them.
constexpr size_t kDescriptorBytes = 4096;
constexpr size_t kMatmulBytes = 16384;
struct ExecArgument {   // dnnl_exec_arg_t
  int argument;
  void* memory;
};

// The functions, with handles as void*; all return 0 when they succeed.
struct Functions {
  int (*create_engine)(void** engine, int kind, size_t index) = nullptr;
  int (*create_stream)(void** stream, void* engine, unsigned flags) = nullptr;
  int (*create_attributes)(void** attributes) = nullptr;
  int (*set_scratchpad)(void* attributes, int mode) = nullptr;
  int (*destroy_attributes)(void* attributes) = nullptr;
  int (*describe2)(void* descriptor, int dimensions, const int64_t* sizes, int type, const int64_t* strides) = nullptr;
  int (*describe3)(void** descriptor, int dimensions, const int64_t* sizes, int type, const int64_t* strides) = nullptr;
  int (*destroy_descriptor)(void* descriptor) = nullptr;   // of release 3
  int (*describe_matmul2)(void* matmul, const void* a, const void* b, const void* bias, const void* c) = nullptr;
  int (*prepare2)(void** prepared, const void* matmul, void* attributes, void* engine, void* hint) = nullptr;
  int (*prepare3)(
      void** prepared, void* engine, const void* a, const void* b, const void* bias, const void* c,
      void* attributes) = nullptr;
  int (*destroy_prepared)(void* prepared) = nullptr;
  const void* (*query)(void* prepared, int what, int index) = nullptr;
  size_t (*bytes)(const void* descriptor) = nullptr;
  int (*create)(void** primitive, void* prepared) = nullptr;
  int (*destroy)(void* primitive) = nullptr;
  int (*create_memory)(void** memory, const void* descriptor, void* engine, void* data) = nullptr;
  int (*set_data)(void* memory, void* data) = nullptr;
  int (*destroy_memory)(void* memory) = nullptr;
  int (*execute)(void* primitive, void* stream, int count, const ExecArgument* arguments) = nullptr;
  void* engine = nullptr;
  bool complete = true;

  template <class F>
  void find(F& function, const char* name) {
    function = reinterpret_cast<F>(onednn_symbol(name));
    complete &= function != nullptr;
  }
  Functions() {
    find(create_engine, "dnnl_engine_create");
    find(create_stream, "dnnl_stream_create");
    find(create_attributes, "dnnl_primitive_attr_create");
    find(set_scratchpad, "dnnl_primitive_attr_set_scratchpad_mode");
    find(destroy_attributes, "dnnl_primitive_attr_destroy");
    if (onednn_release() == 2) {
      find(describe2, "dnnl_memory_desc_init_by_strides");
      find(describe_matmul2, "dnnl_matmul_desc_init");
      find(prepare2, "dnnl_primitive_desc_create");
    } else {
      find(describe3, "dnnl_memory_desc_create_with_strides");
      find(destroy_descriptor, "dnnl_memory_desc_destroy");
      find(prepare3, "dnnl_matmul_primitive_desc_create");
    }
    find(destroy_prepared, "dnnl_primitive_desc_destroy");
    find(query, "dnnl_primitive_desc_query_md");
    find(bytes, "dnnl_memory_desc_get_size");
    find(create, "dnnl_primitive_create");
    find(destroy, "dnnl_primitive_destroy");
    find(create_memory, "dnnl_memory_create");
    find(set_data, "dnnl_memory_set_data_handle");
    find(destroy_memory, "dnnl_memory_destroy");
    find(execute, "dnnl_primitive_execute");
    complete = complete && create_engine(&engine, kCpu, 0) == 0;
  }
};
const Functions& functions() {
  static const Functions found;
  return found;
}

// A matrix [rows, columns] whose elements lie `down` and `across` apart.
class Descriptor {
 public:
  Descriptor(int type, int64_t rows, int64_t columns, int64_t down, int64_t across) {
    const int64_t sizes[] = {rows, columns};
    const int64_t strides[] = {down, across};
    const Functions& f = functions();
    if (f.describe2) {
      bytes_ = std::make_unique<std::byte[]>(kDescriptorBytes);
      object_ = f.describe2(bytes_.get(), 2, sizes, type, strides) == 0 ? bytes_.get() : nullptr;
    } else if (f.describe3(&object_, 2, sizes, type, strides) != 0) {
      object_ = nullptr;
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (!bytes_ && object_)
      functions().destroy_descriptor(object_);
  }
  const void* get() const { return object_; }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  void* object_ = nullptr;
};

// A product of one shape, for the thread that made it.
class Matmul {
 public:
  explicit Matmul(const Bf16Product& p) {
    const Functions& f = functions();
    const Descriptor a(kBf16, p.m, p.k, p.transpose_a ? 1 : p.lda, p.transpose_a ? p.lda : 1);
    const Descriptor b(kBf16, p.k, p.n, p.transpose_b ? 1 : p.ldb, p.transpose_b ? p.ldb : 1);
    const Descriptor c(p.rounds ? kBf16 : kF32, p.m, p.n, p.ldc, 1);
    if (!a.get() || !b.get() || !c.get())
      return;
    void* attributes = nullptr;
    if (f.create_attributes(&attributes) != 0)
      return;
    void* prepared = nullptr;
    if (f.set_scratchpad(attributes, kUserScratchpad) == 0)
      prepared = prepare(a, b, c, attributes);
    f.destroy_attributes(attributes);
    if (!prepared)
      return;
    const void* scratch = f.query(prepared, kScratchpad, 0);
    scratch_bytes_ = scratch ? f.bytes(scratch) : 0;
    if (f.create(&primitive_, prepared) == 0) {
      add(kSource, a.get());
      add(kWeights, b.get());
      add(kDestination, c.get());
      if (scratch_bytes_)
        add(kScratch, scratch);
    }
    f.destroy_prepared(prepared);
  }
  Matmul(const Matmul&) = delete;
  Matmul& operator=(const Matmul&) = delete;
  ~Matmul() {
    for (const ExecArgument& argument : arguments_)
      if (argument.memory)
        functions().destroy_memory(argument.memory);
    if (primitive_)
      functions().destroy(primitive_);
  }
  size_t scratch_bytes() const { return scratch_bytes_; }
  bool run(const Bf16Product& p, void* stream, void* scratch) const {
    if (!primitive_)
      return false;
    const Functions& f = functions();
    for (const ExecArgument& argument : arguments_) {
      const void* data = argument.argument == kSource        ? p.a
                         : argument.argument == kWeights     ? p.b
                         : argument.argument == kDestination ? p.c
                                                             : scratch;
      if (!argument.memory || f.set_data(argument.memory, const_cast<void*>(data)) != 0)
        return false;
    }
    return f.execute(primitive_, stream, int(arguments_.size()), arguments_.data()) == 0;
  }

 private:
  static void* prepare(const Descriptor& a, const Descriptor& b, const Descriptor& c, void* attributes) {
    const Functions& f = functions();
    void* prepared = nullptr;
    if (f.prepare3)
      return f.prepare3(&prepared, f.engine, a.get(), b.get(), nullptr, c.get(), attributes) == 0 ? prepared : nullptr;
    const auto matmul = std::make_unique<std::byte[]>(kMatmulBytes);
    return f.describe_matmul2(matmul.get(), a.get(), b.get(), nullptr, c.get()) == 0 &&
                   f.prepare2(&prepared, matmul.get(), attributes, f.engine, nullptr) == 0
               ? prepared
               : nullptr;
  }
  void add(Argument argument, const void* descriptor) {
    void* memory = nullptr;
    if (functions().create_memory(&memory, descriptor, functions().engine, nullptr) != 0)
      memory = nullptr;
    arguments_.push_back({argument, memory});
  }

  void* primitive_ = nullptr;
  std::vector<ExecArgument> arguments_;
  size_t scratch_bytes_ = 0;
};

struct HashShape {
  size_t operator()(const Bf16Product& p) const {
    size_t hash = size_t(p.transpose_a) | size_t(p.transpose_b) << 1 | size_t(p.rounds) << 2;
    for (long v : {p.m, p.n, p.k, p.lda, p.ldb, p.ldc})
      hash = (hash ^ size_t(v)) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 32;
  }
};

// What a thread has made. All go when there are too many: a program of that many shapes seldom meets one again.
constexpr size_t kMostShapes = 1024;
struct Made {
  std::unordered_map<Bf16Product, Matmul, HashShape> products;
  std::vector<unsigned char> scratch;
  void* stream = nullptr;
};
constexpr size_t kScratchAlignment = 64;
}   // namespace

bool has_bf16_products() {
  static const bool processor = __builtin_cpu_supports("avx512bf16");
  return processor && onednn_sgemm() && functions().complete;
}

bool multiply_bf16(const Bf16Product& p) {
  if (!has_bf16_products())
    return false;
  thread_local Made made;
  if (!made.stream && functions().create_stream(&made.stream, functions().engine, kInOrder) != 0)
    return false;
  Bf16Product shape = p;
  shape.a = shape.b = shape.c = nullptr;
  auto found = made.products.find(shape);
  if (found == made.products.end()) {
    if (made.products.size() == kMostShapes)
      made.products.clear();
    found = made.products.try_emplace(shape, shape).first;
    const size_t bytes = found->second.scratch_bytes();
    if (bytes && made.scratch.size() < bytes + kScratchAlignment)
      made.scratch.resize(bytes + kScratchAlignment);
  }
  auto* scratch = made.scratch.data();
  scratch += (kScratchAlignment - reinterpret_cast<uintptr_t>(scratch) % kScratchAlignment) % kScratchAlignment;
  return found->second.run(p, made.stream, scratch);
}
}   // namespace spectral::cpu
