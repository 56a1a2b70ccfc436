// From tokens to a Module: PTX ISA, "Syntax", "Abstracting the ABI", "Directives".
#include "instruction_parser.h"
#include "variable_parser.h"

namespace spectral::cpu::ptx {
namespace {
class Parser {
 public:
  explicit Parser(Module& module) : module_(module), tokens_(module.text) {}

  void run() {
    tokens_.expect_directive("version");
    read_version();
    while (tokens_.peek().kind != TokenKind::End)
      read_top_level();
    if (module_.target.empty())
      TokenStream::fail(tokens_.peek(), "a module says its .target");
  }

 private:
  void read_version() {
    const Token& t = tokens_.take();
    const size_t dot = t.text.find('.');
    const bool one_digit = dot != std::string_view::npos && dot + 2 == t.text.size();
    if (t.kind != TokenKind::Float64 || !one_digit || dot > 2)
      TokenStream::fail(t, "the version is two numbers, as in 8.4, not " + shown(t));
    for (char c : t.text)
      if (c != '.')
        module_.version = module_.version * 10 + (c - '0');
    if (module_.version < 60 || module_.version > 99)
      TokenStream::fail(t, "versions 6.0 to 9.9 of PTX are read, not " + std::string(t.text));
  }

  void read_top_level() {
    const Token& t = tokens_.peek();
    if (tokens_.accept(';'))
      return;
    if (tokens_.accept_directive("target"))
      return read_target();
    if (tokens_.accept_directive("address_size")) {
      if (tokens_.take_integer("the address size", 64) != 64)
        TokenStream::fail(t, "addresses have 64 bits here");
      return;
    }
    if (tokens_.accept_directive("file"))
      return read_file();
    if (tokens_.accept_directive("section"))
      return tokens_.skip_braces();
    if (tokens_.accept_directive("pragma"))
      return tokens_.skip_to(';');
    const Linkage linkage = read_linkage();
    if (tokens_.accept_directive("entry"))
      return read_function(true, linkage);
    if (tokens_.accept_directive("func"))
      return read_function(false, linkage);
    const std::optional<Space> space = tokens_.take_space();
    if (!space || *space == Space::Param || *space == Space::Local)
      TokenStream::fail(t, shown(t) + " does not begin a part of a module");
    variables_.read_variables(*space, linkage, module_.variables);
  }

  Linkage read_linkage() {
    for (const auto& [name, linkage] :
         {std::pair{"visible", Linkage::Visible},
          std::pair{"extern", Linkage::Extern},
          std::pair{"weak", Linkage::Weak},
          std::pair{"common", Linkage::Common}})
      if (tokens_.accept_directive(name))
        return linkage;
    return Linkage::Internal;
  }

  void read_target() {
    const Token& t = tokens_.take();
    if (t.kind != TokenKind::Name || t.text.substr(0, 3) != "sm_")
      TokenStream::fail(t, "the target is an architecture, as in sm_80, not " + shown(t));
    module_.target = t.text;
    while (tokens_.accept(','))
      tokens_.take_name("a target's option");
  }

  void read_file() {
    const auto index = uint32_t(tokens_.take_integer("a file's index", UINT32_MAX));
    if (tokens_.peek().kind != TokenKind::String)
      TokenStream::fail(tokens_.peek(), "a file has a name in quotes");
    module_.files[index] = tokens_.take().text;
    while (tokens_.accept(','))
      tokens_.take_integer("a file's time or size", UINT64_MAX);
  }

  void read_function(bool is_entry, Linkage linkage) {
    auto made = std::make_unique<Function>();
    function_ = made.get();
    function_->target = module_.target;
    function_->is_entry = is_entry;
    function_->linkage = linkage;
    scopes_.begin_function();
    instructions_.begin_function(*function_);
    if (!is_entry && tokens_.peek().is('('))
      variables_.read_parameters(function_->results);
    const Token& name = tokens_.take_name("a function's name");
    function_->name = name.text;
    function_->place = name.place;
    bool is_new;
    Function& known = find_or_add(name, &is_new);
    if (tokens_.peek().is('('))
      variables_.read_parameters(function_->parameters);
    read_limits();
    if (!tokens_.accept(';')) {
      if (known.has_body)
        TokenStream::fail(name, "function " + quoted(name.text) + " is defined twice");
      function_->has_body = true;
      read_body();
      instructions_.resolve_labels();
    }
    if (made->has_body || is_new)
      take_over(known, std::move(*made));
    scopes_.end_function();
  }

  // The function of a name, which its declaration or its own body may use before the body is read.
  Function& find_or_add(const Token& name, bool* is_new) {
    if (scopes_.is_module_variable(name.text))
      TokenStream::fail(name, quoted(name.text) + " is a variable already");
    auto [known, added] = scopes_.functions.try_emplace(name.text, nullptr);
    if (added) {
      module_.functions.push_back(std::make_unique<Function>());
      known->second = module_.functions.back().get();
    }
    *is_new = added;
    return *known->second;
  }
  void take_over(Function& known, Function&& made) {
    made.is_address_taken |= known.is_address_taken;
    known = std::move(made);
  }

  void read_limits() {
    for (;;) {
      if (tokens_.accept_directive("maxntid"))
        read_three(function_->max_threads);
      else if (tokens_.accept_directive("reqntid"))
        read_three(function_->required_threads);
      else if (tokens_.accept_directive("reqnctapercluster"))
        read_three(function_->cluster);
      else if (
          tokens_.accept_directive("minnctapersm") || tokens_.accept_directive("maxnctapersm") ||
          tokens_.accept_directive("maxnreg"))
        tokens_.take_integer("a limit", UINT32_MAX);
      else if (tokens_.accept_directive("maxclusterrank"))
        function_->max_cluster = unsigned(tokens_.take_integer("a number of blocks", UINT32_MAX));
      else if (tokens_.accept_directive("explicitcluster"))
        function_->needs_cluster = true;
      else if (tokens_.accept_directive("blocksareclusters"))
        function_->counts_clusters = true;
      else if (tokens_.accept_directive("pragma"))
        tokens_.skip_to(';');
      else if (!tokens_.accept_directive("noreturn"))
        return;
    }
  }

  void read_three(unsigned (&into)[3]) {
    int n = 0;
    do {
      if (n == 3)
        TokenStream::fail(tokens_.peek(), "a size has at most three numbers");
      into[n++] = unsigned(tokens_.take_integer("a size", UINT32_MAX));
    } while (tokens_.accept(','));
    for (; n < 3; ++n)
      into[n] = 1;
  }

  void read_body() {
    tokens_.expect('{');
    for (int depth = 1; depth;) {
      const Token& t = tokens_.peek();
      if (t.kind == TokenKind::End)
        TokenStream::fail(t, "'}' is missing: function " + quoted(function_->name) + " has no end");
      if (tokens_.accept('{')) {
        if (++depth > kMaxNesting)
          TokenStream::fail(t, "braces are nested too deep");
        scopes_.open();
      } else if (tokens_.accept('}')) {
        --depth;
        scopes_.close();
      } else if (t.kind == TokenKind::Modifier) {
        read_body_directive();
      } else if (t.kind == TokenKind::Name && tokens_.peek(1).is(':')) {
        instructions_.read_label();
      } else if (!tokens_.accept(';')) {
        instructions_.read_instruction(source_);
      }
    }
  }

  void read_body_directive() {
    const Token& t = tokens_.peek();
    if (tokens_.accept_directive("loc"))
      return read_location();
    if (tokens_.accept_directive("pragma"))
      return tokens_.skip_to(';');
    if (tokens_.accept_directive("reg"))
      return read_registers();
    const std::optional<Space> space = tokens_.take_space();
    if (!space)
      TokenStream::fail(t, "." + std::string(t.text) + " is not supported in a function");
    variables_.read_variables(*space, Linkage::Internal, function_->variables);
  }

  void read_location() {
    source_.file = uint32_t(tokens_.take_integer("a file's index", UINT32_MAX));
    source_.line = uint32_t(tokens_.take_integer("a line", UINT32_MAX));
    tokens_.take_integer("a column", UINT32_MAX);
    if (!tokens_.accept(','))
      return;
    tokens_.take_name("function_name");
    tokens_.take_name("a function's name");
    if (tokens_.accept('+'))
      tokens_.take_integer("an offset", UINT64_MAX);
    tokens_.expect(',');
    tokens_.take_name("inlined_at");
    for (int i = 0; i < 3; ++i)
      tokens_.take_integer("a place", UINT32_MAX);
  }

  void read_registers() {
    const Token& t = tokens_.take();
    const Type type = t.kind == TokenKind::Modifier ? type_named(t.text) : Type::None;
    if (type == Type::None)
      TokenStream::fail(t, "registers have a scalar type, not " + shown(t));
    do {
      const Token& name = tokens_.take_name("a register's name");
      if (!tokens_.accept('<')) {
        add_register(name.text, name.text, type, name);
        continue;
      }
      const uint64_t count = tokens_.take_integer("a number of registers", kMaxRegisters);
      tokens_.expect('>');
      for (uint64_t i = 0; i < count; ++i) {
        names_.push_back(std::make_unique<std::string>(std::string(name.text) + std::to_string(i)));
        add_register(*names_.back(), *names_.back(), type, name);
      }
    } while (tokens_.accept(','));
    tokens_.expect(';');
  }

  void add_register(std::string_view key, std::string_view name, Type type, const Token& at) {
    if (function_->registers.size() >= kMaxRegisters)
      TokenStream::fail(at, "a function has at most " + std::to_string(kMaxRegisters) + " registers here");
    const auto id = uint32_t(function_->registers.size());
    if (!scopes_.add_register(key, id))
      TokenStream::fail(at, quoted(name) + " is declared twice");
    function_->registers.push_back({std::string(name), type});
  }

  Module& module_;
  TokenStream tokens_;
  Scopes scopes_;
  VariableParser variables_{tokens_, scopes_};
  InstructionParser instructions_{tokens_, scopes_, variables_};
  Function* function_ = nullptr;
  std::vector<std::unique_ptr<std::string>> names_;   // of numbered registers, while their scopes last
  SourceLine source_;
};
}   // namespace

std::unique_ptr<Module> parse(std::string text) {
  auto module = std::make_unique<Module>();
  if (text.size() > kMaxText)
    throw PtxError({}, "more than " + std::to_string(kMaxText >> 20) + " MiB of text");
  module->text = std::move(text);
  Parser(*module).run();
  return module;
}
}   // namespace spectral::cpu::ptx
