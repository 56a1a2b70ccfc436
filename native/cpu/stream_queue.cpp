#include "stream_queue.h"
#include "options.h"
#include <algorithm>
#include <map>
#include <random>

namespace spectral::cpu {
struct Item {
  std::function<CUresult()> work;   // none: it only waits
  std::vector<StreamPoint> waits;
  HostRange host;
};
struct StreamQueue {
  CUcontext context;
  bool legacy;         // the default stream, which waits for every blocking stream, as they do for it
  bool non_blocking;   // takes no part in that
  std::atomic<uint64_t> submitted{0};
  std::atomic<uint64_t> done{0};
  std::deque<Item> items;
};

namespace {
// Held while work runs, too: it runs on the thread that waits, one piece at a time.
std::mutex mutex;
std::vector<std::shared_ptr<StreamQueue>> queues;   // of live streams, and of destroyed ones with work left
std::map<std::pair<CUcontext, CUstream>, std::shared_ptr<StreamQueue>> queue_of_stream;
std::atomic<uint64_t> pending{0};   // all items; 0 where streams are synchronous
std::mt19937 order;
long seeded = 0;   // what `order` was last seeded with

bool is_reached(const StreamPoint& p) { return !p.queue || p.queue->done >= p.count; }
bool is_ready(const StreamQueue& q) {
  return !q.items.empty() && std::all_of(q.items.front().waits.begin(), q.items.front().waits.end(), is_reached);
}
StreamPoint end_of(const std::shared_ptr<StreamQueue>& q) { return {q, q->submitted}; }

std::shared_ptr<StreamQueue> find(CUstream s) {
  const auto number = reinterpret_cast<uintptr_t>(s);
  if (number == 1)
    s = nullptr;   // CU_STREAM_LEGACY
  auto& q = queue_of_stream[{current_context(), s}];
  if (!q) {
    q = std::make_shared<StreamQueue>();
    q->context = current_context();
    q->legacy = !s;
    q->non_blocking = number > 2 && s->non_blocking;
    queues.push_back(q);
  }
  return q;
}
// What an action in the stream waits for beyond the stream itself.
std::vector<StreamPoint> implicit_waits(const StreamQueue& q) {
  std::vector<StreamPoint> waits;
  for (const auto& other : queues)
    if (other.get() != &q && other->context == q.context && !other->non_blocking && !q.non_blocking &&
        (q.legacy || other->legacy))
      waits.push_back(end_of(other));
  return waits;
}
void push(const std::shared_ptr<StreamQueue>& q, Item item) {
  // of destroyed streams, once their work is done
  std::erase_if(queues, [&](const auto& other) { return other->items.empty() && other.use_count() == 1; });
  q->items.push_back(std::move(item));
  ++q->submitted;
  ++pending;
}

// Runs the first item of the queue. In a context that failed, work is dropped.
void run_first(StreamQueue& q) {
  const Item item = std::move(q.items.front());
  q.items.pop_front();
  if (item.work && !q.context->failure) {
    const CUcontext before = exchange_context(q.context);
    const CUresult status = item.work();
    if (status && !q.context->failure)
      fail_context(q.context, status, last_error());
    exchange_context(before);
  }
  ++q.done;
  --pending;
}
void run_any() {
  if (seeded != options.seed)
    order.seed(uint32_t(seeded = options.seed));
  std::vector<std::shared_ptr<StreamQueue>> ready;
  std::copy_if(queues.begin(), queues.end(), std::back_inserter(ready), [](const auto& q) { return is_ready(*q); });
  if (!ready.empty())
    run_first(*ready[order() % ready.size()]);
}
void run_until(const StreamPoint& p) {
  while (!is_reached(p)) {
    if (options.seed) {
      run_any();
      continue;
    }
    for (const StreamPoint& wait : p.queue->items.front().waits)
      run_until(wait);
    run_first(*p.queue);
  }
}
void run_until(const std::vector<StreamPoint>& points) {
  for (const StreamPoint& p : points)
    run_until(p);
}
std::vector<StreamPoint> ends_of(CUcontext c) {
  std::vector<StreamPoint> ends;
  for (const auto& q : queues)
    if (!c || q->context == c)
      ends.push_back(end_of(q));
  return ends;
}
CUresult current_failure() {
  CUcontext c = current_context();
  if (!c || !c->failure)
    return CUDA_SUCCESS;
  return check_context();   // which tells the reason
}
}   // namespace

void enqueue(CUstream s, std::function<CUresult()> work, HostRange host) {
  std::lock_guard l(mutex);
  const auto q = find(s);
  push(q, {std::move(work), implicit_waits(*q), host});
  while (options.seed && order() % 2)
    run_any();
}
StreamPoint point_of(CUstream s) {
  std::lock_guard l(mutex);
  return end_of(find(s));
}
bool reached(const StreamPoint& p) { return is_reached(p); }
void wait_for(CUstream s, const StreamPoint& p) {
  std::lock_guard l(mutex);
  const auto q = find(s);
  auto waits = implicit_waits(*q);
  waits.push_back(p);
  push(q, {nullptr, std::move(waits), {}});
}
void progress() {
  if (!pending)
    return;
  std::lock_guard l(mutex);
  run_any();
}
CUresult finish(const StreamPoint& p) {
  if (pending) {
    std::lock_guard l(mutex);
    run_until(p);
  }
  return current_failure();
}
CUresult finish(CUstream s) {
  if (pending) {
    std::lock_guard l(mutex);
    const auto q = find(s);
    run_until(end_of(q));
    if (q->legacy)
      run_until(implicit_waits(*q));
  }
  return current_failure();
}
CUresult finish_context() {
  if (pending) {
    std::lock_guard l(mutex);
    run_until(ends_of(current_context()));
  }
  return current_failure();
}
void finish_all(CUcontext c) {
  if (!pending)
    return;
  std::lock_guard l(mutex);
  run_until(ends_of(c));
}

void forget_stream(CUstream s) {
  std::lock_guard l(mutex);
  queue_of_stream.erase({s->context, s});
}
void forget_queues(CUcontext c) {
  std::lock_guard l(mutex);
  std::erase_if(queues, [c](const auto& q) { return q->context == c; });
  std::erase_if(queue_of_stream, [c](const auto& entry) { return entry.first.first == c; });
}
bool uses_host_memory(const void* start, size_t bytes) {
  if (!pending)
    return false;
  std::lock_guard l(mutex);
  const auto begin = static_cast<const char*>(start);
  for (const auto& q : queues)
    for (const Item& item : q->items)
      if (const auto used = static_cast<const char*>(item.host.start);
          item.host.bytes && used < begin + bytes && begin < used + item.host.bytes)
        return true;
  return false;
}
}   // namespace spectral::cpu
