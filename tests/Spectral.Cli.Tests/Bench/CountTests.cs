using System.Buffers.Binary;
using System.Text.Json;
using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests.Bench;

/// <summary><c>spectral-bench count --ptx</c> as a process, on a kernel whose counts are worked out by hand.</summary>
public sealed class CountTests
{
    /// <summary>
    /// <c>out[i] = factor · in[i]</c> for i below <c>n</c>, by way of shared memory; <c>beyond</c> and <c>skewed</c>
    /// access what they must not.
    /// </summary>
    private const string Ptx = """
        .version 8.4
        .target sm_80
        .address_size 64
        .visible .entry scale(.param .u64 in, .param .u64 out, .param .f32 factor, .param .u32 n)
        {
          .reg .pred %p;
          .reg .b32 %r<6>;
          .reg .b64 %rd<6>;
          .reg .f32 %f<4>;
          .shared .align 4 .b8 words[4096];
          ld.param.u64 %rd0, [in];
          ld.param.u64 %rd1, [out];
          ld.param.f32 %f0, [factor];
          ld.param.u32 %r0, [n];
          mov.u32 %r1, %ctaid.x;
          mov.u32 %r2, %ntid.x;
          mov.u32 %r3, %tid.x;
          mad.lo.u32 %r4, %r1, %r2, %r3;
          setp.lt.u32 %p, %r4, %r0;
          mad.wide.u32 %rd2, %r4, 4, %rd0;
          mad.wide.u32 %rd3, %r4, 4, %rd1;
          mov.u32 %r5, words;
          mad.lo.u32 %r5, %r3, 8, %r5;
          @%p ld.global.f32 %f1, [%rd2];
          @%p st.shared.f32 [%r5], %f1;
          bar.sync 0;
          @%p ld.shared.f32 %f2, [%r5];
          mul.f32 %f3, %f2, %f0;
          @%p st.global.f32 [%rd3], %f3;
          ret;
        }
        .visible .entry beyond(.param .u64 out)
        {
          .reg .b32 %r<2>;
          .reg .b64 %rd<2>;
          ld.param.u64 %rd0, [out];
          mov.u32 %r0, %tid.x;
          mad.wide.u32 %rd1, %r0, 4, %rd0;
          st.global.u32 [%rd1+4], %r0;
          ret;
        }
        .visible .entry skewed(.param .u64 out)
        {
          .reg .b64 %rd<2>;
          ld.param.u64 %rd0, [out];
          st.global.u32 [%rd0+2], 0;
          ret;
        }
        """;
    private static readonly string[] Scale = ["--entry", "scale", "--grid", "2", "--block", "64,1"];
    private static readonly string[] ScaleArguments = ["buf:f32:100:iota", "buf:f32:100:zeros", "f32:0.5", "u32:100"];

    private readonly string _folder = Directory.CreateTempSubdirectory("spectral-count-").FullName;

    private string PtxFile => Path.Combine(_folder, "kernels.ptx");

    [OneTimeSetUp]
    public void WritePtx() => File.WriteAllText(PtxFile, Ptx);

    [OneTimeTearDown]
    public void Clean() => Directory.Delete(_folder, recursive: true);

    [Test]
    public void TheJsonHasTheCountsWorkedOutByHand()
    {
        string dump = Path.Combine(_folder, "out.bin");
        Outcome run = Count([.. Scale, "--arg", .. ScaleArguments, "--json", "--dump", $"1={dump}"]).Succeeded();
        JsonElement counters = JsonDocument.Parse(run.Output).RootElement;
        // 100 threads of four warps, the last with 4: 12 sectors of whole warps and 1, both ways.
        Assert.That(counters.GetProperty("global_read_sectors").GetInt64(), Is.EqualTo(13));
        Assert.That(counters.GetProperty("global_write_sectors").GetInt64(), Is.EqualTo(13));
        Assert.That(counters.GetProperty("global_read_bytes").GetInt64(), Is.EqualTo(400));
        Assert.That(counters.GetProperty("global_write_bytes").GetInt64(), Is.EqualTo(400));
        // Every second word: two words in a bank, at the store and at the load of the three whole warps.
        Assert.That(counters.GetProperty("shared_bank_conflicts").GetInt64(), Is.EqualTo(6));
        Assert.That(counters.GetProperty("barriers").GetInt64(), Is.EqualTo(2));
        Assert.That(counters.GetProperty("instructions").GetInt64(), Is.EqualTo(4 * 20));
        Assert.That(counters.EnumerateObject().Select(counter => counter.Value.TryGetInt64(out _)), Is.All.True);

        byte[] bytes = File.ReadAllBytes(dump);
        Assert.That(bytes, Has.Length.EqualTo(400));
        for (int i = 0; i < 100; i++)
            Assert.That(BinaryPrimitives.ReadSingleLittleEndian(bytes.AsSpan(4 * i)), Is.EqualTo(0.5f * i));
    }

    [Test]
    public void TheLinesAreAligned()
    {
        // Each argument may have an option of its own.
        string[] lines = Count([.. Scale, .. ScaleArguments.SelectMany(spec => new[] { "--arg", spec })])
            .Succeeded()
            .Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(lines[0], Is.EqualTo("kernel scale"));
        Assert.That(lines[^1], Does.StartWith("bound on H200: "));
        Assert.That(lines[1..^1].Select(line => line.Length).Distinct().Count(), Is.EqualTo(1));
        Assert.That(lines, Has.Some.Matches("^global_read_bytes +400$"));
    }

    [TestCase("buf:f64:2:iota", "0000000000000000000000000000F03F")]
    [TestCase("buf:bf16:3:ones", "803F803F803F")]
    [TestCase("buf:bf16:3:iota", "0000803F0040")]
    [TestCase("buf:f16:2:iota", "0000003C")]
    [TestCase("buf:i32:2:ones", "0100000001000000")]
    [TestCase("buf:u8:4:iota", "00010203")]
    [TestCase("buf:u32:1:zeros", "00000000")]
    public void BuffersHoldWhatTheirSpecSays(string spec, string hexadecimal)
    {
        string dump = Path.Combine(_folder, "unchanged.bin");
        Count([.. Scale, "--arg", spec, "buf:f32:1:zeros", "f32:1", "u32:0", "--dump", $"0={dump}"]).Succeeded();
        Assert.That(Convert.ToHexString(File.ReadAllBytes(dump)), Is.EqualTo(hexadecimal));
    }

    [TestCase("scale", "buf:f32:1:zeros", "takes 4 arguments (.u64, .u64, .f32, .u32), found 1")]
    [TestCase(
        "scale",
        "buf:f32:1:zeros buf:f32:1:zeros i32:1 u32:1",
        "argument 2 of kernel scale is .f32, which takes f32"
    )]
    [TestCase(
        "scale",
        "f64:1 buf:f32:1:zeros f32:1 u32:1",
        "argument 0 of kernel scale is .u64, which takes i64, u64, buf"
    )]
    [TestCase("beyond", "buf:f33:1:zeros", "type \"f33\", expected one of u8")]
    [TestCase("beyond", "buf:f32:0:zeros", "count \"0\", expected a number from 1")]
    [TestCase("beyond", "buf:f32:1:twos", "\"twos\", expected zeros, ones or iota")]
    [TestCase("beyond", "u32:-1", "\"-1\" is no value of u32")]
    [TestCase("other", "u64:1", "--entry \"other\": ")]
    [TestCase("beyond", "f32", "expected buf:TYPE:COUNT:zeros|ones|iota or TYPE:VALUE")]
    public void WrongArgumentsAreBadUsage(string entry, string arguments, string message) =>
        Refused(2, message, ["--entry", entry, "--grid", "1", "--block", "32", "--arg", .. arguments.Split(' ')]);

    [TestCase("--grid", "0")]
    [TestCase("--grid", "1,2,3,4")]
    [TestCase("--grid", "2147483648")]
    [TestCase("--block", "x")]
    public void WrongSizesAreBadUsage(string option, string size) =>
        Refused(
            2,
            $"{option} \"{size}\": expected X, X,Y or X,Y,Z",
            "--entry",
            "beyond",
            option == "--grid" ? "--block" : "--grid",
            "1",
            option,
            size,
            "--arg",
            "buf:f32:1:zeros"
        );

    [TestCase("beyond", "thread 31 at PTX line 39: accesses address")]
    [TestCase("skewed", "thread 0 at PTX line 46: accesses 4 bytes at address")]
    public void WrongAccessesFail(string entry, string message) =>
        Refused(1, message, "--entry", entry, "--grid", "1", "--block", "32", "--arg", "buf:u32:32:zeros");

    [TestCase(
        "--grid 1 --block 32 --shared 300000",
        1,
        "kernel beyond: 300000 bytes of dynamic shared memory, where a block on the CPU device has 0 to 232448"
    )]
    [TestCase("--grid 1,70000 --block 32", 1, "a grid has 1 to 2147483647 x 65535 x 65535 blocks, not 1 x 70000 x 1")]
    [TestCase("--grid 1 --block 1,1,65", 1, "a block has up to 1024 x 1024 x 64 threads, not 1 x 1 x 65")]
    [TestCase("--grid 1 --block 64,32", 2, "kernel beyond takes at most 1024 threads per block, found 2048")]
    public void ALaunchThatTheDeviceRefusesSaysWhy(string sizes, int code, string message) =>
        Refused(code, message, ["--entry", "beyond", .. sizes.Split(' '), "--arg", "buf:u32:32:zeros"]);

    [TestCase("0=nowhere/out.bin", 2, "there is no folder")]
    [TestCase("0=.", 2, "is a folder")]
    [TestCase("1=out.bin", 2, "there is no argument 1")]
    [TestCase("out.bin", 2, "expected N=FILE")]
    [TestCase("0=/proc/out.bin", 1, "--dump 0=/proc/out.bin: cannot be written")]
    public void ADumpThatCannotBeWrittenIsRefused(string dump, int code, string message) =>
        Refused(code, message, [.. "--entry beyond --grid 1 --block 3 --arg buf:u32:4:zeros --dump".Split(' '), dump]);

    [Test]
    public void WhatIsNotPtxIsRefused()
    {
        string file = Path.Combine(_folder, "wrong.ptx");
        File.WriteAllText(file, Ptx.Replace("bar.sync 0", "bar.snyc 0"));
        string[] rest = ["--entry", "scale", "--grid", "1", "--block", "1"];
        Check(CommandLine.RunBench(["count", "--ptx", file, .. rest]), 1, "PTX line 26, column 3");
        File.WriteAllText(file, "not PTX");
        Check(CommandLine.RunBench(["count", "--ptx", file, .. rest]), 2, "a module is PTX text");
        Check(CommandLine.RunBench(["count", "--ptx", file + "x", .. rest]), 2, "no such file");
    }

    private Outcome Count(params string[] arguments) => CommandLine.RunBench(["count", "--ptx", PtxFile, .. arguments]);

    private void Refused(int code, string message, params string[] arguments) => Check(Count(arguments), code, message);

    private static void Check(Outcome run, int code, string message)
    {
        Assert.That(run.ExitCode, Is.EqualTo(code), run.Error);
        Assert.That(run.Error, Does.StartWith("spectral-bench: ").And.Contain(message));
        Assert.That(run.Error.Trim().Split('\n'), Has.Length.EqualTo(1));
        Assert.That(run.Output, Is.Empty);
    }
}
