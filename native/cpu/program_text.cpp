#include "program_text.h"
#include "driver.h"
#include "profiles.h"
#include "ptx/link.h"
#include <algorithm>
#include <cstring>

namespace spectral::cpu {
namespace {
struct Header {
  uint32_t magic;
  uint32_t texts;
  uint64_t bytes;   // of all
};
struct TextHeader {
  uint64_t name;   // lengths of the two, which follow
  uint64_t ptx;
};
}   // namespace

CUresult parse_text(const ProgramText& text, std::unique_ptr<ptx::Module>* module) {
  const std::string where = text.name.empty() ? "" : text.name + ": ";
  try {
    *module = ptx::parse(text.ptx);
  } catch (const ptx::PtxError& error) {
    set_error(where + error.what());
    return CUDA_ERROR_INVALID_PTX;
  }
  const Profile& p = profile();
  if (runs_target(p, (*module)->target.c_str()))
    return CUDA_SUCCESS;
  set_error(
      where + "module: its .target is " + (*module)->target + ", which compute capability " + std::to_string(p.major) +
      "." + std::to_string(p.minor) + " (" + p.shown() + ") does not run");
  return CUDA_ERROR_NO_BINARY_FOR_GPU;
}
CUresult link_texts(const std::vector<ProgramText>& texts, std::unique_ptr<ptx::Module>* module) {
  std::vector<std::unique_ptr<ptx::Module>> parts;
  for (const ProgramText& text : texts)
    SPECTRAL_TRY(parse_text(text, &parts.emplace_back()));
  try {
    *module = ptx::link(std::move(parts));
  } catch (const ptx::PtxError& error) {
    set_error(error.what());
    return CUDA_ERROR_UNKNOWN;
  }
  return CUDA_SUCCESS;
}

std::vector<unsigned char> linked_image(const std::vector<ProgramText>& texts) {
  std::vector<unsigned char> image(sizeof(Header));
  auto add = [&](const void* bytes, size_t n) {
    const auto* from = static_cast<const unsigned char*>(bytes);
    image.insert(image.end(), from, from + n);
  };
  for (const ProgramText& t : texts) {
    const TextHeader h{t.name.size(), t.ptx.size()};
    add(&h, sizeof h);
    add(t.name.data(), t.name.size());
    add(t.ptx.data(), t.ptx.size());
  }
  const Header h{kLinkedMagic, uint32_t(texts.size()), image.size()};
  std::memcpy(image.data(), &h, sizeof h);
  return image;
}
uint64_t linked_image_bytes(const void* header) {
  Header h;
  std::memcpy(&h, header, sizeof h);
  return std::max<uint64_t>(h.bytes, sizeof h);
}
bool read_linked_image(const void* bytes, size_t size, std::vector<ProgramText>* texts) {
  Header h;
  const auto* from = static_cast<const unsigned char*>(bytes);
  if (size < sizeof h)
    return false;
  std::memcpy(&h, from, sizeof h);
  size_t at = sizeof h;
  for (uint32_t i = 0; i < h.texts; ++i) {
    TextHeader t;
    if (size - at < sizeof t)
      return false;
    std::memcpy(&t, from + at, sizeof t);
    at += sizeof t;
    if (t.name > size - at || t.ptx > size - at - t.name)
      return false;
    const auto* text = reinterpret_cast<const char*>(from + at);
    texts->push_back({std::string(text, t.name), std::string(text + t.name, t.ptx)});
    at += t.name + t.ptx;
  }
  return h.texts != 0;
}
}   // namespace spectral::cpu
