// The thread pool. Launches follow one another within microseconds in a training step, so a thread that has
// finished looks for the next job for a short while before it sleeps: a wake-up costs more than a small kernel.
#include "pool.h"
#include "options.h"
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <immintrin.h>
#include <mutex>
#include <thread>
#include <vector>

namespace spectral::cpu {
namespace {
constexpr int kSpin = 2000;   // some 20-60 us of pause instructions

class Pool {
 public:
  explicit Pool(int size) : size_(size) {
    for (int i = 1; i < size; ++i)
      threads_.emplace_back([this] { work(); });
  }
  ~Pool() {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
      generation_.fetch_add(1);
    }
    wake_.notify_all();
    for (auto& t : threads_)
      t.join();
  }
  int size() const { return size_; }

  // The caller does not wait for a thread that has not begun: it closes the job, then waits for those inside.
  void run(void (*body)(void*), void* data) {
    int sleeping;
    {
      std::lock_guard lock(mutex_);
      body_ = body;
      data_ = data;
      open_ = true;
      generation_.fetch_add(1);
      sleeping = sleeping_;
    }
    if (sleeping)
      wake_.notify_all();
    body(data);
    {
      std::lock_guard lock(mutex_);
      open_ = false;
    }
    for (int i = 0; inside_.load(std::memory_order_acquire); ++i)
      if (i < kSpin)
        _mm_pause();
      else
        std::this_thread::yield();
  }

 private:
  void work() {
    uint64_t seen = 0;
    for (;;) {
      for (int i = 0; i < kSpin && generation_.load(std::memory_order_acquire) == seen; ++i)
        _mm_pause();
      void (*body)(void*) = nullptr;
      void* data = nullptr;
      {
        std::unique_lock lock(mutex_);
        ++sleeping_;
        wake_.wait(lock, [&] { return generation_.load() != seen; });
        --sleeping_;
        seen = generation_.load();
        if (stop_)
          return;
        if (!open_)
          continue;
        body = body_;
        data = data_;
        inside_.fetch_add(1);
      }
      body(data);
      inside_.fetch_sub(1, std::memory_order_release);
    }
  }
  const int size_;
  std::mutex mutex_;
  std::condition_variable wake_;
  void (*body_)(void*) = nullptr;
  void* data_ = nullptr;
  bool open_ = false;
  bool stop_ = false;
  int sleeping_ = 0;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> inside_{0};
  std::vector<std::thread> threads_;
};
std::mutex one_job;
}   // namespace

int thread_count() {
  static const int cores = int(std::thread::hardware_concurrency());   // asks the system each time
  if (options.threads > 0)
    return int(options.threads);
  return std::max(cores, 1);
}

void run_on_pool(void (*body)(void*), void* data, bool parallel) {
  static Pool* pool = nullptr;   // never destroyed: its threads may outlive main's statics
  std::lock_guard lock(one_job);
  if (!parallel || thread_count() == 1)
    return body(data);
  if (!pool || pool->size() != thread_count()) {
    delete pool;
    pool = new Pool(thread_count());
  }
  pool->run(body, data);
}
}   // namespace spectral::cpu
