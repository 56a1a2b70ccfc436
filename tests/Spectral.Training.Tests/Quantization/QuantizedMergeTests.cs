using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Quantization;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Quantization;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Quantization;

/// <summary>Adapters are merged into quantised weights, and results are written quantised.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class QuantizedMergeTests(DeviceKind kind) : TrainingTest(kind)
{
    private const string Query = QuantizedFolders.Query;
    private const string Down = "model.layers.0.mlp.down_proj.weight";

    private static readonly (WeightFormat Format, bool IsNested, string Form)[] Written =
    [
        (WeightFormat.Nf4, false, "nf4"),
        (WeightFormat.Nf4, true, "nf4 nested"),
        (WeightFormat.Fp4, true, "fp4 nested"),
        (WeightFormat.Fp8, false, "fp8 tiles"),
        (WeightFormat.Int8, false, "int-quantized f32"),
    ];

    private string Base => Folder.File("base");

    private string Dense => Folder.File("dense");

    private string Saved => Folder.File("adapter");

    private string Merged => Folder.File("merged");

    private static IEnumerable<string> Forms => QuantizedFolders.Forms.Keys;

    // W + ΔW is that of the dequantised weights, rounded once.
    [TestCaseSource(nameof(Forms))]
    public void AMergedModelIsPlain(string form)
    {
        QuantizedFolders.WriteDense(Dense, QuantizedFolders.Write(Base, form));
        SaveAdapter(Base);
        Merge(Base, Merged);
        string config = File.ReadAllText(Path.Combine(Merged, "config.json"));
        Assert.That(config, Does.Not.Contain("quantization_config").And.Contain("\"torch_dtype\""));
        Merge(Dense, Folder.File("expected"));
        using var merged = ModelFolder.Open(Merged);
        using var expected = ModelFolder.Open(Folder.File("expected"));
        Assert.That(merged.TensorNames, Is.EquivalentTo(expected.TensorNames));
        foreach (string name in expected.TensorNames)
        {
            // bitsandbytes' state says BF16; the others have the type of the config, F32.
            float[] values = expected[name].ToFloats();
            if (merged[name].Type == StoredType.BF16)
                values = Array.ConvertAll(values, Rounded);
            Assert.That(merged[name].ToFloats(), Is.EqualTo(values), name);
        }
    }

    [Test]
    public void AMethodMergesIntoDequantisedWeights(
        [Values("ties", "linear", "dare-ties", "della", "slerp", "breadcrumbs", "dc-merge")] string method,
        [Values("fp8 tiles", "nf4 nested", "int-quantized f32")] string form
    )
    {
        QuantizedFolders.WriteDense(Dense, QuantizedFolders.Write(Base, form));
        SaveAdapter(Base);
        float[] expected = ByMethod(Dense, Folder.File("expected"), method);
        float[] actual = ByMethod(Base, Merged, method);
        // bitsandbytes' state says BF16, to which the result of such a base is rounded
        if (form == "nf4 nested")
            expected = Array.ConvertAll(expected, Rounded);
        Assert.That(actual, Is.EqualTo(expected));
        Assert.That(expected, Is.Not.EqualTo(Values(Dense)), "the method changes something");
    }

    /// <summary>What a method makes is rounded once, in every form, as a merged adapter is.</summary>
    [TestCaseSource(nameof(Written))]
    public void WhatAMethodMakesIsWrittenQuantised((WeightFormat Format, bool IsNested, string Form) written)
    {
        QuantizedFolders.WriteDense(Dense, QuantizedFolders.Write(Folder.File("other"), written.Form));
        SaveAdapter(Dense);
        ByMethod(Dense, Folder.File("plain"), "linear");
        BaseQuantization quantization = new(written.Format, written.IsNested);
        ByMethod(Dense, Merged, "linear", quantization);
        // The folder with plain weights, rewritten without an adapter, has the same codes.
        string again = Directory.CreateDirectory(Folder.File("again")).FullName;
        using (var plain = ModelFolder.Open(Folder.File("plain")))
        {
            using QuantizedOutput output = new(plain, Device, quantization);
            Merger.Merge(plain, null, again, Device, default, null, output);
            Assert.That(output.Count, Is.EqualTo(7));
            Assert.That(output.RelativeError, Is.Positive);
        }

        using var first = SafetensorsFile.Open(Path.Combine(Merged, "model.safetensors"));
        using var second = SafetensorsFile.Open(Path.Combine(again, "model.safetensors"));
        Assert.That(first.Tensors.Keys, Is.EquivalentTo(second.Tensors.Keys).And.Some.Contains("q_proj.weight"));
        foreach (string name in first.Tensors.Keys)
            Assert.That(first[name].Data.SequenceEqual(second[name].Data), name);
        Assert.That(
            File.ReadAllText(Path.Combine(Merged, "config.json")),
            Is.EqualTo(File.ReadAllText(Path.Combine(again, "config.json")))
        );
    }

    /// <summary>Without an adapter and in the form that it has, a folder is copied.</summary>
    [TestCaseSource(nameof(Written))]
    public void AFolderOfThatFormIsCopied((WeightFormat Format, bool IsNested, string Form) written)
    {
        QuantizedFolders.Write(Base, written.Form);
        Directory.CreateDirectory(Merged);
        using var folder = ModelFolder.Open(Base);
        using QuantizedOutput output = new(folder, Device, new BaseQuantization(written.Format, written.IsNested));
        Merger.Merge(folder, null, Merged, Device, default, null, output);
        Assert.That(output.Count, Is.Zero);
        using var before = SafetensorsFile.Open(Path.Combine(Base, "model.safetensors"));
        using var after = SafetensorsFile.Open(Path.Combine(Merged, "model.safetensors"));
        foreach (string name in after.Tensors.Keys)
            Assert.That(after[name].Data.SequenceEqual(before[name].Data), name);
    }

    [Test]
    public void InputsThatAreKeptApartAreNotQuantised()
    {
        QuantizedFolders.WriteDense(Dense, QuantizedFolders.Write(Folder.File("other"), "nf4"));
        SaveAdapter(Dense);
        Assert.That(
            () => ByMethod(Dense, Merged, "auto-flexswitch", new BaseQuantization(WeightFormat.Nf4)),
            Throws.TypeOf<InputException>().With.Message.Contains("there is no one model to quantise")
        );
    }

    [TestCaseSource(nameof(Written))]
    public void AResultIsWrittenAsItsFormSays((WeightFormat Format, bool IsNested, string Form) written)
    {
        QuantizedFolders.WriteDense(Dense, QuantizedFolders.Write(Folder.File("other"), written.Form));
        SaveAdapter(Dense);
        Merge(Dense, Folder.File("plain"));
        (int weights, double error) = Merge(Dense, Merged, written.Format, written.IsNested);
        using var plain = ModelFolder.Open(Folder.File("plain"));
        using var merged = ModelFolder.Open(Merged);
        using var file = SafetensorsFile.Open(Path.Combine(Merged, "model.safetensors"));
        Assert.That(merged.Warnings, Is.Empty);
        (double difference, double norm) = (0, 0);
        foreach (LinearSpec linear in ModelTensors.Linears(plain.Config))
        {
            float[] values = plain[linear.Weight].ToFloats();
            Encoded encoded = QuantizedFolders
                .Forms[written.Form]
                .Encode(linear.Weight, linear.Outputs, linear.Inputs, values);
            SamePartsAs(encoded, file);
            float[] rounded = merged[linear.Weight].ToFloats();
            difference += values.Zip(rounded, (x, y) => ((double)x - y) * ((double)x - y)).Sum();
            norm += values.Sum(x => (double)x * x);
        }
        Assert.That(weights, Is.EqualTo(7));
        Assert.That(error, Is.EqualTo(Math.Sqrt(difference / norm)).Within(1e-9));
        foreach (string name in plain.TensorNames.Where(name => merged.Quantized(name) is null))
            Assert.That(merged[name].Data.SequenceEqual(plain[name].Data), name);
    }

    [TestCaseSource(nameof(Written))]
    public void WhatIsQuantisedSoAlreadyIsCopied((WeightFormat Format, bool IsNested, string Form) written)
    {
        QuantizedFolders.Write(Base, written.Form);
        SaveAdapter(Base);
        (int weights, _) = Merge(Base, Merged, written.Format, written.IsNested);
        using var before = SafetensorsFile.Open(Path.Combine(Base, "model.safetensors"));
        using var after = SafetensorsFile.Open(Path.Combine(Merged, "model.safetensors"));
        Assert.That(weights, Is.EqualTo(1));
        foreach (string name in after.Tensors.Keys.Where(IsCopied))
            Assert.That(after[name].Data.SequenceEqual(before[name].Data), name);

        static bool IsCopied(string name) => !name.StartsWith(Query[..^".weight".Length], StringComparison.Ordinal);
    }

    [Test]
    public void TransposedWeightsAreNotWrittenQuantised()
    {
        Keep(TinyModels.Trainable(TinyModels.Gpt2, Device)).Save(Folder.Path, null);
        using var model = ModelFolder.Open(Folder.Path);
        Assert.That(
            () => new QuantizedOutput(model, Device, new BaseQuantization(WeightFormat.Nf4)),
            Throws
                .TypeOf<InputException>()
                .With.Message.StartsWith(Folder.Path)
                .And.Message.Contains("transformer.h.0.attn.c_attn.weight")
        );
    }

    private void SaveAdapter(string model)
    {
        using var folder = ModelFolder.Open(model);
        using var loaded = CausalLanguageModel.Load(folder, Device, DType.F32);
        AdapterOptions options = new() { TargetModules = ["q_proj"], Rank = 3 };
        using var adapter = Adapter.Attach(loaded, AdapterMethods.Find("lora"), options);
        TestAdapters.Randomize(adapter, 8);
        Directory.CreateDirectory(Saved);
        adapter.Save(Saved);
    }

    private void Merge(string model, string result) => Merge(model, result, null, false);

    private (int Weights, double Error) Merge(string model, string result, WeightFormat? format, bool isNested)
    {
        Directory.CreateDirectory(result);
        using var folder = ModelFolder.Open(model);
        BaseQuantization? quantization = format is { } given ? new(given, isNested) : null;
        using QuantizedOutput? output = quantization is null ? null : new(folder, Device, quantization);
        Merger.Merge(folder, Saved, result, Device, default, null, output);
        return (output?.Count ?? 0, output?.RelativeError ?? 0);
    }

    private float[] ByMethod(string model, string result, string method, BaseQuantization? quantization = null)
    {
        Directory.CreateDirectory(result);
        using var folder = ModelFolder.Open(model);
        using QuantizedOutput? output = quantization is null ? null : new(folder, Device, quantization);
        MergeMethod chosen = MergeMethods.Find(method);
        double? weight = chosen.Uses.HasFlag(MergeUses.Weights) ? 0.5 : null;
        MergeInput[] inputs = [.. Enumerable.Repeat(new MergeInput(Saved, weight), Math.Max(1, chosen.LeastInputs))];
        using var merge = ModelMerge.Open(folder, chosen, inputs, new MergeOptions { Output = output }, Device);
        merge.Write(result);
        return Values(result);
    }

    private static float[] Values(string model)
    {
        using var merged = ModelFolder.Open(model);
        return [.. merged[Query].ToFloats(), .. merged[Down].ToFloats()];
    }

    private static void SamePartsAs(Encoded encoded, SafetensorsFile file)
    {
        bool isNested = encoded.Tensors.Exists(part => part.Name.EndsWith(".nested_absmax", StringComparison.Ordinal));
        foreach (TensorToWrite part in encoded.Tensors)
        {
            using MemoryStream stream = new();
            part.Write(stream);
            ReadOnlySpan<byte> expected = stream.ToArray();
            string leaf = part.Name[(part.Name.LastIndexOf('.') + 1)..];
            if (leaf == "input_scale")
                continue; // of activations, which the product does not quantise
            SafetensorsTensor found = file[part.Name];
            if (leaf.StartsWith("bitsandbytes__", StringComparison.Ordinal))
            {
                SameState(found.Data, expected);
                continue;
            }

            Assert.That(found.Shape, Is.EqualTo(part.Shape), part.Name);
            // The mean of scales, from 1 to 2, depends on the order of a sum in F32: by two units in its last place at
            // most. So do the differences from it, and a scale half way between two codes may get either.
            if (leaf == "nested_absmax")
                Assert.That(found.ToFloats(), Is.EqualTo(Floats(expected)).Within(MathF.ScaleB(1, -22)), part.Name);
            else if (leaf == "absmax" && isNested)
                Assert.That(Codes(found.Data), Is.EqualTo(Codes(expected)).Within(1), part.Name);
            else
                Assert.That(found.Data.SequenceEqual(expected), part.Name);
        }
    }

    // The JSON may have other spaces; the weight's type was F32 here.
    private static void SameState(ReadOnlySpan<byte> found, ReadOnlySpan<byte> expected)
    {
        JsonObject state = JsonNode.Parse(found)!.AsObject();
        JsonObject wanted = JsonNode.Parse(expected)!.AsObject();
        wanted["dtype"] = "float32";
        const string Offset = "nested_offset";
        if (wanted.Remove(Offset, out JsonNode? mean) && state.Remove(Offset, out JsonNode? foundMean))
        {
            Assert.That(
                foundMean!.GetValue<double>(),
                Is.EqualTo(mean!.GetValue<double>()).Within(MathF.ScaleB(1, -22))
            );
        }

        Assert.That(state.ToJsonString(), Is.EqualTo(wanted.ToJsonString()));
    }

    private static float[] Floats(ReadOnlySpan<byte> bytes) => MemoryMarshal.Cast<byte, float>(bytes).ToArray();

    private static int[] Codes(ReadOnlySpan<byte> bytes) => Array.ConvertAll(bytes.ToArray(), code => (int)code);

    private static float Rounded(float value) =>
        BitConverter.UInt32BitsToSingle((uint)TensorToWrite.ToBFloat16(value) << 16);
}
