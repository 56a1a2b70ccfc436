// What is printed to standard output while a function runs.
#pragma once
#include <cstdio>
#include <string>
#include <unistd.h>

template <class F>
std::string captured_output(F f) {
  std::FILE* file = std::tmpfile();
  std::fflush(stdout);
  const int before = dup(1);
  dup2(fileno(file), 1);
  f();
  std::fflush(stdout);
  dup2(before, 1);
  close(before);
  std::string text;
  std::rewind(file);
  for (int c; (c = std::fgetc(file)) != EOF;)
    text += char(c);
  std::fclose(file);
  return text;
}
