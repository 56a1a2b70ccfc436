// The device's OS threads. One job runs at a time; the calling thread takes part in it.
#pragma once
#include <atomic>

namespace spectral::cpu {
int thread_count();   // options.threads, or the number of cores

// Calls body(data) once on the calling thread and, when `parallel`, on each other thread that is free in time.
// body takes items off a shared counter until none are left; returns when every call has returned.
void run_on_pool(void (*body)(void*), void* data, bool parallel);

// f(i) for i in [0, n), in any order, on the pool. Which thread takes which i varies: results must not depend on it.
template <class F>
void parallel_for(long n, F&& f) {
  struct Job {
    std::atomic<long> next;
    long n;
    F* f;
  } job{{0}, n, &f};
  run_on_pool(
      [](void* data) {
        Job& j = *static_cast<Job*>(data);
        for (long i; (i = j.next.fetch_add(1, std::memory_order_relaxed)) < j.n;)
          (*j.f)(i);
      },
      &job,
      n > 1);
}
}   // namespace spectral::cpu
