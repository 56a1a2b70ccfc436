using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using Spectral.Benchmarks.Tokenizers;

// Not BenchmarkDotNet's: each run needs a tokenizer whose cache is empty, and takes turns with another process.
if (args is ["tokenizers", .. var options])
    return TokenizerRun.Run(options);

// In this process: the native libraries lie beside this program and not beside a project that BenchmarkDotNet would
// generate.
Summary[] summaries = BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run([.. args, "--inProcess"]).ToArray();
bool failed = summaries.Any(summary =>
    summary.HasCriticalValidationErrors || summary.Reports.Any(report => !report.Success)
);
return failed ? 1 : 0;
