using Spectral.Kernels;
using Spectral.Kernels.Quantization;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Quantization;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Quantization;

/// <summary>Files of adapters say in which form the base was; another one is doubted in a line.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class BaseFormTests(DeviceKind kind) : TrainingTest(kind)
{
    private const string Key = "spectral.base_form";

    private static readonly BaseQuantization Nf4 = new(WeightFormat.Nf4);

    private string Saved => Folder.File("adapter");

    [Test]
    public void AnotherFormIsDoubted()
    {
        using (CausalLanguageModel model = TinyModels.Trainable(TinyModels.Llama, Device))
            model.Save(Folder.Path, null);
        Train(Nf4);
        Assert.That(Form(), Is.EqualTo("nf4"));
        Assert.Multiple(() =>
        {
            Assert.That(Warnings(Nf4), Is.Empty);
            Assert.That(
                Warnings(null),
                Is.EqualTo(
                    new[]
                    {
                        $"{Saved}: trained on a base with linear layers in 'nf4', here they are in 'plain', so that "
                            + "it corrects the rounding of others",
                    }
                )
            );
            Assert.That(Warnings(Nf4 with { Double = true }), Has.Exactly(1).Contains("in 'nf4 double'"));
            Assert.That(Warnings(new BaseQuantization(WeightFormat.Int8)), Has.Exactly(1).Contains("in 'int8'"));
        });
        Train(null);
        Assert.That(Form(), Is.EqualTo("plain"));
        Assert.That(Warnings(null), Is.Empty);
        Assert.That(Warnings(Nf4), Has.Exactly(1).Contains("trained on a base with linear layers in 'plain'"));
    }

    [TestCase("nf4", "nf4")]
    [TestCase("nf4 nested", "nf4 double")]
    [TestCase("fp8 tiles", "fp8")]
    [TestCase("int-quantized f32", "int8")]
    public void AFolderThatIsStoredSoHasItsForm(string stored, string form)
    {
        QuantizedFolders.Write(Folder.Path, stored);
        Train(null);
        Assert.That(Form(), Is.EqualTo(form));
        Assert.That(Warnings(null), Is.Empty);
    }

    /// <summary>Files that others wrote, or this program before it wrote forms.</summary>
    [Test]
    public void FilesThatDoNotSayAreTaken()
    {
        using (CausalLanguageModel model = TinyModels.Trainable(TinyModels.Llama, Device))
            model.Save(Folder.Path, null);
        Train(Nf4);
        string path = Path.Combine(Saved, "adapter_model.safetensors");
        byte[] bytes = File.ReadAllBytes(path);
        int at = bytes.AsSpan().IndexOf("spectral.base_form"u8);
        "spectral.base_forn"u8.CopyTo(bytes.AsSpan(at));
        File.WriteAllBytes(path, bytes);
        Assert.That(Warnings(null), Is.Empty);
    }

    private void Train(BaseQuantization? quantization)
    {
        using var folder = ModelFolder.Open(Folder.Path, quantization: quantization);
        using var model = CausalLanguageModel.Load(folder, Device, DType.F32);
        using var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), new AdapterOptions { Rank = 2 });
        adapter.Save(Saved);
    }

    private IReadOnlyList<string> Warnings(BaseQuantization? quantization)
    {
        using var folder = ModelFolder.Open(Folder.Path, quantization: quantization);
        using var reader = new AdapterReader(Saved, folder);
        return reader.Warnings;
    }

    private string? Form()
    {
        using var file = SafetensorsFile.Open(Path.Combine(Saved, "adapter_model.safetensors"));
        return file.Metadata.GetValueOrDefault(Key);
    }
}
