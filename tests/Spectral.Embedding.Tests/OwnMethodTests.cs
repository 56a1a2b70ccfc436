using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Embedding.Tests;

/// <summary>An adapter method of the calling program is registered, and then loads and merges what it saved.</summary>
public sealed class OwnMethodTests
{
    [OneTimeSetUp]
    public void Register() => AdapterMethods.Register(new HalvedLora());

    [Test]
    public void AFolderOfARegisteredMethodIsLoadedAndMerged()
    {
        using TemporaryFolder folder = new();
        using TemporaryFolder adapterFolder = new();
        using TemporaryFolder mergedFolder = new();
        using var device = Device.Cpu();
        SmallModels.Write(folder, device);
        using var opened = ModelFolder.Open(folder.Path);
        float plain = Loss(opened, device, null);
        float saved;
        using (var model = CausalLanguageModel.Load(opened, device, DType.F32))
        {
            AdapterOptions options = new() { Rank = 2 };
            using var adapter = Adapter.Attach(model, AdapterMethods.Find("halved-lora"), options);
            saved = Loss(model);
            adapter.Save(adapterFolder.Path);
        }

        Assert.That(saved, Is.Not.EqualTo(plain).Within(1e-4f), "the adapter changes the model from the start");
        Assert.That(Loss(opened, device, adapterFolder.Path), Is.EqualTo(saved));
        Merger.Merge(opened, adapterFolder.Path, mergedFolder.Path, device);
        using var merged = ModelFolder.Open(mergedFolder.Path);
        Assert.That(Loss(merged, device, null), Is.EqualTo(saved).Within(1e-4f * saved));
    }

    [Test]
    public void ASecondMethodOfANameIsRefused()
    {
        Assert.That(
            () => AdapterMethods.Register(new HalvedLora()),
            Throws.ArgumentException.With.Message.Contains("adapter method 'halved-lora'")
        );
        Assert.That(AdapterMethods.All.Count(method => method.Name == "halved-lora"), Is.EqualTo(1));
    }

    private static float Loss(ModelFolder folder, Device device, string? adapter)
    {
        using var model = CausalLanguageModel.Load(folder, device, DType.F32);
        using Adapter? attached = adapter is null ? null : Adapter.Load(model, adapter);
        return Loss(model);
    }

    private static float Loss(CausalLanguageModel model)
    {
        EncodedRecord record = new([5, 6, 7, 8, 9, 0], 1, 1, false);
        using BatchTensors batch = new(model.Device, Batch.Create([record]));
        using Tape tape = new(model.Device, records: false);
        using Tensor loss = model.Loss(tape, batch, 1);
        return loss.ToArray()[0];
    }

    /// <summary>A plain low-rank term of which half is added, with neither factor at zero.</summary>
    private sealed class HalvedLora : AdapterMethod
    {
        public override string Name => "halved-lora";
        public override string Formula => "W + ½·B·A";
        public override string Source => "this test";
        public override string Use => "To be registered.";

        public override AdapterForm Form(AdapterBuilder layer) =>
            new()
            {
                Terms =
                [
                    new LowRankTerm(
                        layer.Trained("half_B", (layer.Out, layer.Rank), Start.KaimingUniform),
                        layer.Trained("half_A", (layer.Rank, layer.In), Start.KaimingUniform),
                        0.5
                    ),
                ],
            };
    }
}
