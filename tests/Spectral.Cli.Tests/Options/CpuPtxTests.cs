using System.Text.Json;
using Spectral.Cli.Tests.Support;
using Spectral.Kernels;

namespace Spectral.Cli.Tests.Options;

/// <summary>Tests the CPU device on the PTX of a GPU: --device cpu-ptx, its variables, and what info says.</summary>
public sealed class CpuPtxTests : WorkFolder
{
    /// <summary>The tolerance for F32 sums in another order.</summary>
    private const double Rounding = 2e-5;

    [Test]
    public void InfoSaysWhetherTheCpuDeviceRunsPtx()
    {
        JsonElement kernels = CommandLine.Run("info", "--json").Succeeded().Json.GetProperty("kernels");
        string[] embedded = [.. kernels.GetProperty("ptx").EnumerateObject().Select(target => target.Name)];
        Assert.That(
            kernels.GetProperty("cpu_ptx").EnumerateArray().Select(target => target.GetString()),
            Is.EqualTo(embedded)
        );
        Assert.That(
            CommandLine.Run("info").Succeeded().Output.Contains("cpu-ptx", StringComparison.Ordinal),
            Is.EqualTo(embedded.Length > 0)
        );
    }

    [TestCase("sm_80")]
    [TestCase("sm_90a")]
    public void EvalOnPtxGivesTheLossOfTheSource(string target)
    {
        string[] eval = ["eval", "--model", Model, "--data", Data, "--json", "--device"];
        Outcome ptx = CommandLine.RunWith("SPECTRAL_CPU_PTX_TARGET", target, [.. eval, "cpu-ptx"]);
        if (KernelLibrary.Architectures.Count == 0)
        {
            ptx.Refused(2, "--device \"cpu-ptx\"", "built without nvcc");
            return;
        }
        double expected = CommandLine.Run([.. eval, "cpu"]).Succeeded().Json.GetProperty("loss").GetDouble();
        double loss = ptx.Succeeded().Json.GetProperty("loss").GetDouble();
        Assert.That(loss, Is.EqualTo(expected).Within(Rounding));
    }

    [TestCase("SPECTRAL_CPU_KERNELS", "fast", "source or ptx")]
    [TestCase("SPECTRAL_CPU_PTX_TARGET", "sm_10", "sm_80")]
    public void AWrongChoiceOfKernelsIsRefused(string variable, string value, string expected)
    {
        if (KernelLibrary.Architectures.Count == 0)
            Assert.Ignore("built without nvcc: no PTX to choose");
        string device = variable == "SPECTRAL_CPU_KERNELS" ? "cpu" : "cpu-ptx";
        CommandLine
            .RunWith(variable, value, "eval", "--model", Model, "--data", Data, "--device", device)
            .Refused(2, $"{variable} is '{value}'", expected);
    }
}
