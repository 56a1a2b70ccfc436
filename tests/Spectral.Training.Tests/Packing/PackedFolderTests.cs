using System.Text.Json.Nodes;
using Spectral.Training.IO;
using Spectral.Training.Numerics;
using Spectral.Training.Packing;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Packing;

/// <summary>Packed folders come back as written, and damaged ones are refused in one line.</summary>
public sealed class PackedFolderTests : FolderTest
{
    private const string Name = "some.weight";

    private string Description => folder.File("compression.json");

    private string Weights => folder.File("packed_model.safetensors");

    [Test]
    public void AMatrixComesBackWhicheverItsVectorsAre([Values] bool areColumns)
    {
        BandMatrix matrix = Write(areColumns);
        using var read = PackedFolder.Open(folder.Path);
        Assert.That(read.Description.Method, Is.EqualTo("some-method"));
        Assert.That(read.Description.Settings["bits"], Is.EqualTo(1.5));
        Assert.That(read.Description.BaseTensorSha256[Name], Is.EqualTo("ab"));
        Assert.That(read.Plain.Select(tensor => tensor.Name), Is.EqualTo(new[] { "plain" }));
        UnpackedTensor tensor = read.Packed.Single();
        Assert.That(tensor.Name, Is.EqualTo(Name));
        Assert.That(tensor.Shape, Is.EqualTo(areColumns ? new long[] { 131, 5 } : [5, 131]));
        float[] vectors = matrix.ToFloats();
        Assert.That(
            tensor.ToFloats(),
            Is.EqualTo(areColumns ? HostMatrix.Transposed(vectors, 5, 131) : vectors).AsCollection
        );
    }

    [Test]
    public void TheBitsAreThoseOfTheParts()
    {
        BandMatrix matrix = Matrix();
        PackedTensor packed = BandCodec.Pack(Name, matrix, areColumns: false);
        long codes = 8 * (((131L * ((8 * 2) + (3 * 3))) + 7) / 8);
        Assert.That(packed.Bits, Is.EqualTo(codes + (5 * ((2 * 16) + 32))));
        Assert.That(BandMatrix.Cost(131, 3), Is.EqualTo((131 * 3) + (2 * 16) + 32));
    }

    [TestCase("format_version", 2, "format_version 2, expected 1; a newer version")]
    [TestCase("format_version", null, "format_version is missing")]
    [TestCase("method", 3, "method is 3, expected a string")]
    [TestCase("settings", "{\"bits\":\"x\"}", "settings.bits is the string 'x', expected a number")]
    [TestCase("base_tensor_sha256", "{\"a\":1}", "base_tensor_sha256.a is 1, expected a string")]
    [TestCase("tensors", "{}", "tensors is an object, expected an array")]
    [TestCase("tensors.codec", "\"zip\"", "tensors[0].codec is the string 'zip', expected bands or codebook or switch")]
    [TestCase("tensors.name", "\"other\"", "no tensor 'other.codes'")]
    [TestCase("tensors.shape", "[5]", "is [5], expected a matrix")]
    [TestCase("tensors.shape", "[5,0]", "expected a whole number from 1")]
    [TestCase("tensors.shape", "[5,132]", "'some.weight.codes' is U8 [410], expected U8 [413]")]
    [TestCase("tensors.shape", "[5,131,1]", "is [5, 131, 1], expected a matrix")]
    [TestCase("tensors.shape", "[2000000000,2000000000]", "expected at most")]
    [TestCase("tensors.vectors", "\"planes\"", "vectors is the string 'planes', expected rows or columns")]
    [TestCase("tensors.bands", "[{\"bits\":8,\"count\":4}]", "has bands of 4 vectors, expected 5")]
    [TestCase("tensors.bands", "[{\"bits\":8,\"count\":5}]", "'some.weight.codes' is U8 [410], expected U8 [655]")]
    [TestCase("tensors.bands", "[{\"bits\":9,\"count\":5}]", "bits is 9, expected a whole number from 1 to 8")]
    [TestCase("tensors.bands", "[{\"bits\":8,\"count\":2147483647},{\"bits\":8,\"count\":9}]", "bands of 2147483656")]
    public void ADescriptionThatIsWrongIsRefused(string key, object? value, string message)
    {
        Write(areColumns: false);
        JsonObject json = JsonNode.Parse(File.ReadAllText(Description))!.AsObject();
        JsonObject owner = key.StartsWith("tensors.") ? json["tensors"]![0]!.AsObject() : json;
        owner[key[(key.LastIndexOf('.') + 1)..]] = value is null ? null : JsonNode.Parse($"{value}");
        File.WriteAllText(Description, json.ToJsonString());
        Assert.That(Open, Throws.InstanceOf<InputException>().With.Message.Contains(message));
    }

    [Test]
    public void ATensorThatIsThereTwiceIsRefused()
    {
        Write(areColumns: false);
        JsonObject json = JsonNode.Parse(File.ReadAllText(Description))!.AsObject();
        json["tensors"]!.AsArray().Add(json["tensors"]![0]!.DeepClone());
        File.WriteAllText(Description, json.ToJsonString());
        Assert.That(Open, Throws.InstanceOf<InputException>().With.Message.Contains("is there twice"));
    }

    [Test]
    public void ValuesThatOverflowAreRefused()
    {
        Write(areColumns: false, factor: 1e38);
        using var read = PackedFolder.Open(folder.Path);
        Assert.That(
            () => read.Packed.Single().ToFloats(),
            Throws
                .InstanceOf<InputException>()
                .With.Message.Contains("'some.weight' unpacks to")
                .And.Message.Contains("at [")
        );
    }

    [Test]
    public void MissingWeightsAreNamed()
    {
        Write(areColumns: false);
        File.Delete(Weights);
        Assert.That(
            Open,
            Throws.InstanceOf<InputException>().With.Message.Contains("packed_model.safetensors: no such file")
        );
    }

    [Test]
    public void ASwitchComesBack([Values(1, 7, 8, 9, 131)] int length, [Values(0.0, 0.1, 1.0)] double density)
    {
        Random random = new(length);
        float[] values = new float[2 * length];
        for (int i = 0; i < values.Length; i++)
        {
            if (random.NextDouble() < density)
                values[i] = random.Next(2) == 0 ? 0.3f : -0.3f;
        }
        PackedTensor packed = SwitchCodec.Pack(Name, [2, length], values, 0.3f);
        int kept = values.Count(value => value != 0);
        Assert.That(packed.Bits, Is.EqualTo((8 * (((2 * length) + 7) / 8)) + (8 * ((kept + 7) / 8)) + 32));
        Write(packed);
        using var read = PackedFolder.Open(folder.Path);
        Assert.That(read.Packed.Single().ToFloats(), Is.EqualTo(values));
    }

    [Test]
    public void FewValuesComeBackInAsManyBitsAsTellThemApart(
        [Values(1, 2, 3, 4, 5, 16, 17, 256)] int different,
        [Values(1, 8, 131)] int length
    )
    {
        float[] values = [.. Enumerable.Range(0, length).Select(i => (i % different * 0.37f) - 1)];
        int found = Math.Min(different, length);
        int bits = Enumerable.Range(1, 8).First(width => 1 << width >= found);
        PackedTensor packed = CodebookCodec.Pack(Name, [length], values);
        Assert.That(packed.Bits, Is.EqualTo((8 * (((bits * length) + 7) / 8)) + (32 << bits)));
        Write(packed);
        using var read = PackedFolder.Open(folder.Path);
        Assert.That(read.Packed.Single().ToFloats(), Is.EqualTo(values));
    }

    [Test]
    public void LevelsThatDoNotFitTheBitsAreRefused()
    {
        PackedTensor packed = CodebookCodec.Pack(Name, [4], [1, 2, 3, 4]);
        Write(packed with { Describe = json => json.WriteNumber("bits", 1) });
        Assert.That(
            Open,
            Throws.InstanceOf<InputException>().With.Message.Contains("levels' is F32 [4], expected F32 [2]")
        );
    }

    [TestCase(0, "has 8 signs, fewer than entries in its mask")]
    [TestCase(2, "has 3 bytes of signs, expected 2")]
    public void SignsThatDoNotFitTheMaskAreRefused(int extra, string message)
    {
        PackedTensor packed = SwitchCodec.Pack(Name, [9], [1, 1, 1, 1, 1, 1, 1, 1, 1], 1);
        TensorToWrite signs = PackedTensor.Codes(Name, "signs", new byte[1 + extra]);
        Write(packed with { Parts = [packed.Parts[0], signs, packed.Parts[2]] });
        using var read = PackedFolder.Open(folder.Path);
        Assert.That(
            () => read.Packed.Single().ToFloats(),
            Throws.InstanceOf<InputException>().With.Message.Contains(message)
        );
    }

    private void Write(PackedTensor packed) =>
        PackedFolder.Write(
            folder.Path,
            new PackedDescription("some-method", new Dictionary<string, double>(), new Dictionary<string, string>()),
            [packed],
            [],
            new Dictionary<string, string>()
        );

    private void Open() => PackedFolder.Open(folder.Path).Dispose();

    private static BandMatrix Matrix()
    {
        Random random = new(3);
        HostMatrix vectors = new(5, 131, [.. Enumerable.Range(0, 5 * 131).Select(_ => random.NextDouble() - 0.5)]);
        return BandMatrix.Of(vectors, [(8, 2), (3, 3)]);
    }

    private BandMatrix Write(bool areColumns, double factor = 1)
    {
        BandMatrix matrix = Matrix();
        for (int i = 0; i < matrix.Norms.Length; i++)
            matrix.Norms[i] = (float)Math.Min(3.4e38, factor * matrix.Norms[i] * 100);
        for (int i = 0; i < matrix.Scales.Length && factor > 1; i++)
            matrix.Scales[i] = 60000;
        PackedFolder.Write(
            folder.Path,
            new PackedDescription(
                "some-method",
                new Dictionary<string, double> { ["bits"] = 1.5 },
                new Dictionary<string, string> { [Name] = "ab" }
            ),
            [BandCodec.Pack(Name, matrix, areColumns)],
            [TensorToWrite.Floats("plain", StoredType.BF16, [2], () => [1, 2])],
            new Dictionary<string, string>()
        );
        return matrix;
    }
}
