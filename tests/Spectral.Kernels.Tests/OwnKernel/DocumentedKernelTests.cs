using System.Globalization;
using System.Runtime.CompilerServices;

namespace Spectral.Kernels.Tests.OwnKernel;

/// <summary>What docs/your-own-kernel.md shows is what is compiled and run here.</summary>
public sealed class DocumentedKernelTests
{
    public struct WrongArgs
    {
        public ulong Y;
        public ulong X;
        public long Size;
    }

    private static string Ptx => Path.Combine(TestContext.CurrentContext.TestDirectory, "transpose.ptx");

    // The project has the namespace of NUnit everywhere, a file of its own does not.
    [TestCase("cuda", "", "transpose.cu")]
    [TestCase("csharp", "using NUnit.Framework;\n", "OwnKernelExample.cs")]
    public void TheDocumentShowsTheWholeFile(string language, string before, string file) =>
        Assert.That(
            Document().Split($"```{language}\n")[1].Split("```")[0].Trim(),
            Is.EqualTo(before + File.ReadAllText(Path.Combine(Folder(), file)).Trim())
        );

    [Test]
    public void TheDocumentShowsTheErrorOfAWrongStruct()
    {
        using var device = Device.Cpu();
        using var module = KernelModule.LoadFile(device, Ptx);
        string shown = Document().Split("\n\n").Single(block => block.Contains("    kernel transpose takes"));
        Assert.That(
            () => module.GetKernel<WrongArgs>("transpose"),
            Throws.ArgumentException.With.Message.EqualTo(
                string.Join(' ', shown.Split('\n').Select(line => line.Trim()))
            )
        );
    }

    [Test]
    public void ATileOfRowsOf33ElementsHasNoBankConflictsAndElseTheSameCounts()
    {
        string ptx = File.ReadAllText(Ptx);
        string wider = ptx.Replace("tile[4096]", "tile[4224]")
            .Replace("shl.b32 \t%r14, %r3, 7;", "mul.lo.s32 \t%r14, %r3, 132;")
            .Replace("shl.b32 \t%r19, %r5, 7;", "mul.lo.s32 \t%r19, %r5, 132;");
        Dictionary<string, long> before = Count(ptx);
        Dictionary<string, long> after = Count(wider);
        string[] changed = ["shared_bank_conflicts", "shared_wavefronts", "shared_bytes"];
        Assert.That(after["shared_bank_conflicts"], Is.Zero);
        Assert.That(before.Keys.Where(name => before[name] != after[name]), Is.EquivalentTo(changed));
    }

    private static Dictionary<string, long> Count(string ptx)
    {
        const int Size = 1024;
        using var device = Device.Cpu();
        using var module = KernelModule.Load(device, ptx);
        using var x = Tensor.Zeros(device, (Size, Size));
        using var y = Tensor.Zeros(device, (Size, Size));
        var args = new TransposeArgs
        {
            Y = y.Pointer,
            X = x.Pointer,
            Rows = Size,
            Columns = Size,
        };
        device.Api.SetCpuOption("count", 1);
        try
        {
            module.GetKernel<TransposeArgs>("transpose").Launch(args, (Size / 32, Size / 32), (32, 32));
            return device
                .Api.CountedLaunches()
                .Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Skip(1) // the kernel's name
                .TakeWhile(line => !line.StartsWith("buffer ", StringComparison.Ordinal)) // then each buffer
                .Select(line => line.Split(' '))
                .ToDictionary(line => line[0], line => long.Parse(line[1], CultureInfo.InvariantCulture));
        }
        finally
        {
            device.Api.SetCpuOption("count", 0);
        }
    }

    private static string Document() =>
        File.ReadAllText(Path.Combine(Folder(), "..", "..", "..", "docs", "your-own-kernel.md"));

    private static string Folder([CallerFilePath] string path = "")
    {
        string folder = Path.GetDirectoryName(path)!;
        if (!Directory.Exists(folder))
            Assert.Ignore("the source tree is not on this machine");
        return folder;
    }
}
