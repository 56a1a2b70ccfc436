using BenchmarkDotNet.Running;

// In this process: the native libraries lie beside this program and not beside a project that BenchmarkDotNet would generate.
var summaries = BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run([.. args, "--inProcess"]).ToArray();
return summaries.Any(summary => summary.HasCriticalValidationErrors || summary.Reports.Any(report => !report.Success)) ? 1 : 0;
