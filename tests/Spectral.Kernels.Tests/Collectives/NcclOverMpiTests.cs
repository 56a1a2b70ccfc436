using System.Diagnostics;
using Spectral.Tests.Support;

namespace Spectral.Kernels.Tests.Collectives;

/// <summary>
/// Starts native/tests/mpi as ranks: values, order in streams, graphs, bytes and refusals of NCCL's entry points on the
/// CPU device.
/// </summary>
public sealed class NcclOverMpiTests
{
    [Test]
    public void EveryNumberOfRanks([Values(1, 2, 3, 4)] int ranks)
    {
        string[] command =
        [
            .. MpiLauncher.Start(ranks),
            Path.Combine(Repository.Root, "artifacts", "native", "spectral_nccl_tests"),
        ];
        using Process process = Process.Start(
            new ProcessStartInfo(command[0], command[1..])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            }
        )!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        string[] lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        Assert.That(process.ExitCode, Is.Zero, output + error.Result);
        Assert.That(lines, Has.Length.EqualTo(ranks).And.All.Match("^[1-9][0-9]{2} passed, 0 failed$"), output);
    }
}
