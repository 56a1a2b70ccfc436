using System.Text.Json;
using System.Text.RegularExpressions;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class TunerTests(DeviceKind kind) : DeviceTest(kind)
{
    private string _folder = "";
    private Device? _tuned;
    private List<string> _warnings = [];

    /// <summary>Tuning is remembered by a device: each test opens its own.</summary>
    private Device Open()
    {
        _tuned?.Dispose();
        _tuned = Device.Kind == DeviceKind.Cpu ? Device.Cpu() : Device.Cuda();
        (_tuned.Tuner.Enabled, _tuned.Tuner.Folder, _tuned.Tuner.Warning) = (true, _folder, _warnings.Add);
        return _tuned;
    }

    [SetUp]
    public void MakeFolder() =>
        (_folder, _warnings) = (Path.Combine(Directory.CreateTempSubdirectory("spectral-tune").FullName, "cache"), []);

    [TearDown]
    public void Clean()
    {
        LowRankLinear.Force(Device, null);
        _tuned?.Dispose();
        _tuned = null;
        Directory.Delete(Path.GetDirectoryName(_folder)!, recursive: true);
    }

    [Test]
    public void TheFastestIsKeptInAFileAndReadAgain()
    {
        Device first = Open();
        float[] tuned = RunLayer(first, 5, DType.BF16);
        string file = first.Tuner.File!;
        string[] keys =
        [
            "low_rank_linear forward bf16 8x9x16 rank 3",
            "low_rank_linear input_gradient bf16 8x16x9 rank 3",
        ];
        Assert.That(first.Tuner.Choices.Keys, Is.EquivalentTo(keys));
        Assert.That(Directory.GetFiles(_folder), Is.EqualTo(new[] { file }), "nothing temporary is left");
        JsonElement stored = JsonDocument.Parse(File.ReadAllText(file)).RootElement;
        Assert.That(
            stored.GetProperty("made_for").GetString(),
            Does.StartWith(first.Name).And.Contain("driver").And.Contain("BLAS")
        );
        foreach (string key in keys)
        {
            Assert.That(
                stored.GetProperty("choices").GetProperty(key).GetString(),
                Is.AnyOf(Enum.GetValues<LowRankVariant>().Select(LowRankLinear.NameOf).ToArray())
            );
        }

        // What the file says is taken without timing: here the one variant that never is the default.
        Rewrite(file, "composed-a");
        Device second = Open();
        RunLayer(second, 7, DType.BF16);
        Assert.That(Products(second), Is.All.EqualTo("composed-a"), "5 and 7 rows are one kind of call");
        Assert.That(tuned, Has.All.Not.NaN);
        Assert.That(_warnings, Is.Empty);
    }

    [TestCase("{")]
    [TestCase("[]")]
    [TestCase("{\"format\":2}")]
    [TestCase("{\"format\":1,\"made_for\":\"another machine\",\"choices\":{}}")]
    [TestCase("{\"format\":1,\"made_for\":null,\"choices\":{\"a\":1}}")]
    public void ADamagedFileIsReportedAndReplaced(string content)
    {
        Device device = Open();
        Directory.CreateDirectory(_folder);
        File.WriteAllText(device.Tuner.File!, content);
        RunLayer(device, 4, DType.F32);
        Assert.That(_warnings, Has.Count.EqualTo(1));
        Assert.That(_warnings[0], Does.StartWith(device.Tuner.File!).And.Contain("will be replaced"));
        Assert.That(
            JsonDocument
                .Parse(File.ReadAllText(device.Tuner.File!))
                .RootElement.GetProperty("choices")
                .EnumerateObject()
                .Count(),
            Is.EqualTo(2)
        );
    }

    [Test]
    public void AnUnknownVariantInTheFileIsTimedAnew()
    {
        Device device = Open();
        RunLayer(device, 4, DType.F32);
        string file = device.Tuner.File!;
        foreach (string name in new[] { "of-tomorrow", "portable" }) // portable does not apply to F32
        {
            Rewrite(file, name);
            Device again = Open();
            RunLayer(again, 4, DType.F32);
            Assert.That(Products(again), Is.All.StartsWith("composed-"));
        }
    }

    [Test]
    public void AFolderThatCannotBeMadeIsReportedAndTuningGoesOn()
    {
        File.WriteAllText(_folder, "a file where the folder should be");
        Device device = Open();
        RunLayer(device, 4, DType.F32);
        Assert.That(_warnings, Is.Not.Empty.And.All.Contains(_folder));
        Assert.That(device.Tuner.Choices, Has.Count.EqualTo(2));
        File.Delete(_folder);
    }

    [Test]
    public void WithoutAFolderChoicesStayInMemoryAndWithoutTuningThereAreNone()
    {
        Device device = Open();
        device.Tuner.Folder = null;
        RunLayer(device, 4, DType.F32);
        Assert.That(device.Tuner.Choices, Has.Count.EqualTo(2));
        Assert.That(Directory.Exists(_folder), Is.False);
        Device untuned = Open();
        untuned.Tuner.Enabled = false;
        RunLayer(untuned, 4, DType.F32);
        Assert.That(untuned.Tuner.Choices, Is.Empty);
        Assert.That(Products(untuned), Is.All.EqualTo("composed-b"));
    }

    [Test]
    public void WhatIsForcedIsNotTimed()
    {
        Device device = Open();
        LowRankLinear.Force(device, LowRankVariant.ComposedA);
        RunLayer(device, 4, DType.F32);
        Assert.That(device.Tuner.Choices, Is.Empty);
        Assert.That(Products(device), Is.All.EqualTo("composed-a"));
    }

    [Test]
    public void TimingLeavesResultsAloneThatAreAddedTo()
    {
        Device device = Open();
        float[] first = RunLayer(device, 6, DType.F32);
        float[] again = RunLayer(device, 6, DType.F32);
        Assert.That(first, Is.EqualTo(again), "the run that timed and the one after it");
    }

    [Test]
    public void CandidatesAreTimedOnNormalValues([Values(DType.F32, DType.BF16)] DType type)
    {
        Device device = Open();
        using var x = Tensor.Zeros(device, (200, 16), type);
        using var weight = Tensor.Zeros(device, (9, 16), type);
        using var factor = Tensor.Zeros(device, (9, 30), type);
        using var trial = new LowRankTrial(
            new LowRankCase(device, type, LowRankDirection.Forward, Rows: 200, Columns: 9, Depth: 16, Rank: 30),
            x,
            weight,
            factor
        );
        float[] source = trial.Source.ToArray();
        Assert.That(source.Average(), Is.EqualTo(0).Within(0.1));
        Assert.That(
            source.Average(value => (double)value * value),
            Is.EqualTo(1).Within(0.1),
            "6000 draws: the variance is within 0.02 of 1"
        );
    }

    private static IEnumerable<string> Products(Device device) =>
        device
            .Variants.All.Where(use => use.What.StartsWith("low_rank_linear", StringComparison.Ordinal))
            .Select(use => use.Variant);

    private static void Rewrite(string file, string choice) =>
        File.WriteAllText(file, Regex.Replace(File.ReadAllText(file), "(rank 3\": )\"[^\"]*\"", $"$1\"{choice}\""));

    /// <summary>Forward and, into a dx of ones, backward of a layer 16 → 9; y and dx.</summary>
    private static float[] RunLayer(Device device, int rows, DType type)
    {
        Tensor Filled(int m, int n) =>
            Tensor.From(device, Enumerable.Range(0, m * n).Select(i => (float)Math.Sin(i + m)).ToArray(), (m, n), type);
        using Tensor x = Filled(rows, 16);
        using Tensor weight = Filled(9, 16);
        using Tensor left = Filled(9, 3);
        using Tensor right = Filled(3, 16);
        using Tensor dy = Filled(rows, 9);
        using var y = Tensor.Empty(device, (rows, 9), type);
        using var z = Tensor.Empty(device, (rows, 3), type);
        using var dx = Tensor.From(device, Enumerable.Repeat(1f, rows * 16).ToArray(), (rows, 16), type);
        var factors = new LowRankFactors(left, null, right, 0.5f);
        LowRankLinear.Forward(x, weight, null, factors, y, z);
        LowRankLinear.Backward(x, weight, factors, z, dy, dx, default, Accumulate.Dx);
        return [.. y.ToArray(), .. dx.ToArray()];
    }
}
