#include "ptx.h"
#include <algorithm>

std::string storing_ptx(const char* kernel, int value) {
  std::string text = ".version 8.4\n.target sm_80\n.address_size 64\n.visible .entry ";
  text += kernel;
  text +=
      "(.param .u64 to)\n{\n.reg .b64 %to;\nld.param.u64 %to, [to];\ncvta.to.global.u64 %to, %to;\n"
      "st.global.u32 [%to], ";
  return text + std::to_string(value) + ";\nret;\n}\n";
}

std::string ptx_kernel(const std::string& body, const std::string& variables, const std::string& directives) {
  return ".version 8.4\n.target sm_90a\n.address_size 64\n" + variables + "\n.visible .entry k(.param .u64 p)\n" +
         directives +
         "\n{\n"
         ".reg .b16 %ha, %hb, %hc, %hd, %he;\n"
         ".reg .b32 %a, %b, %c, %d, %e, %f, %g, %h, %i, %u, %v, %w, %x, %y, %z;\n"
         ".reg .b64 %la, %lb, %lc, %ld, %le, %lf, %lx, %ly, %lz, %out;\n"
         ".reg .pred %p, %q, %r, %s, %t;\n"
         "ld.param.u64 %out, [p];\ncvta.to.global.u64 %out, %out;\nmov.u32 %x, %tid.x;\n" +
         body + "\nret;\n}\n";
}

std::vector<uint64_t> run_ptx(
    const std::string& body, const std::vector<uint64_t>& words, unsigned threads, unsigned blocks,
    const std::string& variables, const std::string& directives) {
  const PtxModule module(ptx_kernel(body, variables, directives));
  Buffer<uint64_t> buffer(words);
  const CUfunction f = module.get("k");
  void* params[] = {&buffer.p};
  if (f && !cuLaunchKernel(f, blocks, 1, 1, threads, 1, 1, 0, nullptr, params, nullptr))
    return buffer.get();
  check(false, std::string("does not run: ") + spectralCpuLastError() + "\n" + body);
  spectralCpuSetOption("reset", 0);
  return {};
}

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
int line_of(const std::string& text, const std::string& part) {
  const size_t at = text.find(part);
  return at == std::string::npos ? -1 : 1 + int(std::count(text.begin(), text.begin() + ptrdiff_t(at), '\n'));
}
void check_ptx_fault(const PtxFault& wanted, const std::string& variables) {
  const std::string text = ptx_kernel(wanted.body, variables, wanted.directives);
  const PtxModule module(text);
  Buffer<uint64_t> buffer(64);
  const CUfunction f = module.get("k");
  if (!f)
    return check(false, wanted.body);
  void* params[] = {&buffer.p};
  CHECK_STATUS(
      cuLaunchKernel(f, wanted.blocks, 1, 1, wanted.threads, 1, 1, 0, nullptr, params, nullptr), wanted.status);
  const std::string said = spectralCpuLastError();
  spectralCpuSetOption("reset", 0);
  const char* place = wanted.blocks == 1 ? "kernel k, block (0,0,0)" : "kernel k, block (";
  check(said.find(place) == 0, "kernel and block in: " + said);
  const std::string line = "PTX line " + std::to_string(line_of(text, wanted.at));
  check(says(said, line), line + " in: " + said);
  for (const std::string& part : wanted.parts)
    check(says(said, part), "'" + part + "' in: " + said);
}

std::vector<uint64_t> results_of(const std::string& code, const std::vector<Operands>& rows) {
  constexpr unsigned kThreads = 256;
  const auto blocks = unsigned((rows.size() + kThreads - 1) / kThreads);
  std::vector<uint64_t> words(size_t(blocks) * kThreads * 4);
  for (size_t i = 0; i < rows.size(); ++i) {
    words[4 * i] = rows[i].a;
    words[4 * i + 1] = rows[i].b;
    words[4 * i + 2] = rows[i].c;
  }
  auto names = [&](const char* name) { return code.find(name) != std::string::npos; };
  std::string store;
  if (names("%ld"))
    store = "mov.b64 %lx, %ld;";
  else if (names("%hd"))
    store = "cvt.u64.u16 %lx, %hd;";
  else if (names("%d"))
    store = "cvt.u64.u32 %lx, %d;";
  else
    store = "selp.u64 %lx, 1, 0, %p;\nselp.u64 %ly, 2, 0, %q;\nadd.u64 %lx, %lx, %ly;";
  const auto out = run_ptx(
      "mov.u32 %y, %ctaid.x;\nmad.lo.u32 %y, %y, 256, %x;\nmul.wide.u32 %lx, %y, 32;\nadd.u64 %out, %out, %lx;\n"
      "ld.global.v2.u64 {%la, %lb}, [%out];\nld.global.u64 %lc, [%out+16];\n"
      "cvt.u32.u64 %a, %la;\ncvt.u32.u64 %b, %lb;\ncvt.u32.u64 %c, %lc;\n"
      "cvt.u16.u64 %ha, %la;\ncvt.u16.u64 %hb, %lb;\ncvt.u16.u64 %hc, %lc;\n"
      "setp.ne.u32 %p, 0, 0;\nsetp.ne.u32 %q, 0, 0;\n" +
          code + "\n" + store + "\nst.global.u64 [%out+24], %lx;",
      words,
      kThreads,
      blocks);
  std::vector<uint64_t> results(out.empty() ? 0 : rows.size());
  for (size_t i = 0; i < results.size(); ++i)
    results[i] = out[4 * i + 3];
  return results;
}

void check_rows(
    const std::string& code, const std::vector<Operands>& rows,
    const std::function<uint64_t(const Operands&)>& expected) {
  const auto results = results_of(code, rows);
  size_t wrong = 0;
  char text[300] = "";
  for (size_t i = 0; i < results.size(); ++i) {
    const uint64_t wanted = expected(rows[i]);
    if (results[i] == wanted || wrong++)
      continue;
    const auto show = [](uint64_t v) { return static_cast<unsigned long long>(v); };
    std::snprintf(
        text,
        sizeof text,
        " of (%llx, %llx, %llx): %llx, wanted %llx",
        show(rows[i].a),
        show(rows[i].b),
        show(rows[i].c),
        show(results[i]),
        show(wanted));
  }
  check(results.size() == rows.size() && !wrong, code + text + ", " + std::to_string(wrong) + " wrong");
}
void check_row(const std::string& code, Operands row, uint64_t expected) {
  check_rows(code, {row}, [=](const Operands&) { return expected; });
}

std::vector<Operands> pairs_of(const std::vector<uint64_t>& values) {
  std::vector<Operands> rows;
  for (uint64_t a : values)
    for (uint64_t b : values)
      rows.push_back({a, b, a * 31 + b});
  return rows;
}
std::vector<Operands> triples_of(const std::vector<uint64_t>& values) {
  std::vector<Operands> rows;
  for (uint64_t a : values)
    for (uint64_t b : values)
      for (uint64_t c : values)
        rows.push_back({a, b, c});
  return rows;
}
