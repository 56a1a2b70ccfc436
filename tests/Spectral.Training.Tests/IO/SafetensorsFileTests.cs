using System.Buffers.Binary;
using System.Text;
using Spectral.Training.IO;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.IO;

/// <summary>
/// The reader against hand-made files: good ones, and one per rule of the format that breaks just that rule.
/// </summary>
public sealed class SafetensorsFileTests : FolderTest
{
    private static byte[] Container(string header, int dataBytes) =>
        Container(Encoding.UTF8.GetBytes(header), dataBytes);

    private static byte[] Container(byte[] header, int dataBytes, long? claimed = null)
    {
        byte[] file = new byte[8 + header.Length + dataBytes];
        BinaryPrimitives.WriteInt64LittleEndian(file, claimed ?? header.Length);
        header.CopyTo(file, 8);
        for (int i = 0; i < dataBytes; i++)
            file[8 + header.Length + i] = (byte)i;
        return file;
    }

    private static string Entry(string type, string shape, string offsets) =>
        $$"""{"dtype":"{{type}}","shape":{{shape}},"data_offsets":{{offsets}}}""";

    private static IEnumerable<TestCaseData> Broken()
    {
        static TestCaseData Case(SafetensorsRule rule, byte[] bytes, string says, string name = "") =>
            new TestCaseData(rule, bytes, says).SetArgDisplayNames(rule + name);
        static TestCaseData Header(SafetensorsRule rule, string header, int data, string says, string name = "") =>
            Case(rule, Container(header, data), says, name);
        string good = Entry("F32", "[2]", "[0,8]");
        yield return Case(SafetensorsRule.FileTooShort, [], "0 bytes", " empty");
        yield return Case(SafetensorsRule.FileTooShort, [1, 0, 0, 0, 0, 0, 0], "7 bytes");
        yield return Case(SafetensorsRule.HeaderTooLarge, Container("{}"u8.ToArray(), 0, 100_000_001), "100000001");
        yield return Case(
            SafetensorsRule.HeaderTooLarge,
            Container("{}"u8.ToArray(), 0, -1),
            "18446744073709551615",
            " all bits"
        );
        yield return Case(
            SafetensorsRule.HeaderBeyondFile,
            Container("{}"u8.ToArray(), 0, 3),
            "3 bytes in a file of 10"
        );
        yield return Header(SafetensorsRule.HeaderNotObject, "[]", 0, "'{'");
        yield return Header(SafetensorsRule.HeaderNotObject, "", 0, "'{'", " no header");
        yield return Case(
            SafetensorsRule.HeaderNotUtf8,
            Container([(byte)'{', (byte)'"', 0xC3, (byte)'"', (byte)'}'], 0),
            "byte 10"
        );
        yield return Header(SafetensorsRule.HeaderNotJson, """{"t":""", 0, "JSON");
        yield return Header(SafetensorsRule.HeaderNotJson, """{} x""", 0, "JSON", " tail");
        yield return Header(SafetensorsRule.HeaderNotJson, """{"\ud800":1}""", 0, "JSON", " half surrogate");
        yield return Header(
            SafetensorsRule.DuplicateKey,
            $$"""{"t":{{good}},"t":{{good}}}""",
            8,
            "'t' is given twice",
            " tensor"
        );
        yield return Header(
            SafetensorsRule.DuplicateKey,
            """{"t":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}""",
            8,
            "dtype twice",
            " field"
        );
        yield return Header(
            SafetensorsRule.DuplicateKey,
            """{"__metadata__":{},"__metadata__":{}}""",
            0,
            "__metadata__",
            " metadata"
        );
        yield return Header(
            SafetensorsRule.DuplicateKey,
            """{"__metadata__":{"a":"1","a":"1"}}""",
            0,
            "'a' is given twice",
            " metadata key"
        );
        yield return Header(SafetensorsRule.BadMetadata, """{"__metadata__":{"a":1}}""", 0, "'a' is not a string");
        yield return Header(SafetensorsRule.BadMetadata, """{"__metadata__":[]}""", 0, "not an object", " array");
        yield return Header(SafetensorsRule.BadEntry, """{"t":7}""", 0, "'t' is not an object");
        yield return Header(SafetensorsRule.BadEntry, """{"t":{"dtype":"F32","shape":[2]}}""", 8, "lacks", " lacks");
        yield return Header(
            SafetensorsRule.BadEntry,
            """{"t":{"dtype":"F32","shape":[2],"data_offsets":[0]}}""",
            8,
            "1 data_offsets",
            " offsets"
        );
        yield return Header(
            SafetensorsRule.BadEntry,
            """{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}""",
            8,
            "'x'",
            " extra"
        );
        yield return Header(
            SafetensorsRule.BadEntry,
            $$"""{"t":{{new string('[', 60)}}""",
            0,
            "not an object",
            " deep"
        );
        yield return Header(SafetensorsRule.UnknownType, $$"""{"t":{{Entry("F33", "[2]", "[0,8]")}}}""", 8, "'F33'");
        yield return Header(
            SafetensorsRule.BadShape,
            $$"""{"t":{{Entry("F32", "[-2]", "[0,8]")}}}""",
            8,
            "shape",
            " negative"
        );
        yield return Header(
            SafetensorsRule.BadShape,
            $$"""{"t":{{Entry("F32", "[2.5]", "[0,10]")}}}""",
            10,
            "shape",
            " fraction"
        );
        yield return Header(
            SafetensorsRule.BadShape,
            $$"""{"t":{{Entry("F32", "[[2]]", "[0,8]")}}}""",
            8,
            "shape",
            " nested"
        );
        yield return Header(
            SafetensorsRule.BadOffsets,
            $$"""{"t":{{Entry("F32", "[0]", "[8,0]")}}}""",
            8,
            "before its beginning"
        );
        yield return Header(
            SafetensorsRule.BadOffsets,
            $$"""{"t":{{Entry("F32", "[2]", "[-8,0]")}}}""",
            8,
            "data_offsets",
            " negative"
        );
        yield return Header(
            SafetensorsRule.SizeOverflow,
            $$"""{"t":{{Entry("F32", "[4294967296,4294967296]", "[0,0]")}}}""",
            0,
            "larger than any file"
        );
        yield return Header(
            SafetensorsRule.SizeOverflow,
            $$"""{"t":{{Entry("U8", "[9223372036854775807]", "[0,0]")}}}""",
            0,
            "larger",
            " by the width"
        );
        yield return Header(SafetensorsRule.PartialByte, $$"""{"t":{{Entry("F4", "[3]", "[0,1]")}}}""", 1, "12 bits");
        yield return Header(
            SafetensorsRule.SizeMismatch,
            $$"""{"t":{{Entry("F32", "[3]", "[0,8]")}}}""",
            8,
            "expected 12"
        );
        yield return Header(SafetensorsRule.BeyondFile, $$"""{"t":{{good}}}""", 7, "at most 7");
        yield return Header(
            SafetensorsRule.BeyondFile,
            $$"""{"t":{{Entry("U8", "[1000000000000]", "[0,1000000000000]")}}}""",
            8,
            "1000000000000",
            " huge"
        );
        yield return Header(SafetensorsRule.Hole, $$"""{"t":{{Entry("F32", "[2]", "[4,12]")}}}""", 12, "hole");
        yield return Header(
            SafetensorsRule.Overlap,
            $$"""{"a":{{good}},"b":{{Entry("F32", "[2]", "[4,12]")}}}""",
            12,
            "'b' begins at 4"
        );
        yield return Header(SafetensorsRule.TrailingData, $$"""{"t":{{good}}}""", 9, "1 bytes after");
    }

    [TestCaseSource(nameof(Broken))]
    public void ABrokenRuleIsNamed(SafetensorsRule rule, byte[] bytes, string says)
    {
        string path = folder.Write("bad.safetensors", bytes);

        SafetensorsException error = Assert.Throws<SafetensorsException>(() => SafetensorsFile.Open(path).Dispose())!;

        Assert.That(error.Rule, Is.EqualTo(rule));
        Assert.That(error.Message, Does.StartWith(path).And.Contains(says).And.Contains(rule.ToString()));
    }

    [Test]
    public void EveryRuleHasABrokenFile() =>
        Assert.That(
            Broken().Select(test => (SafetensorsRule)test.Arguments[0]!).Distinct(),
            Is.EquivalentTo(Enum.GetValues<SafetensorsRule>())
        );

    [Test]
    public void ALyingHeaderTakesNoMemory()
    {
        string path = folder.Write(
            "lie.safetensors",
            Container($$"""{"t":{{Entry("F32", "[100000000000]", "[0,400000000000]")}}}""", 8)
        );
        long before = GC.GetAllocatedBytesForCurrentThread();

        Assert.Throws<SafetensorsException>(() => SafetensorsFile.Open(path).Dispose());

        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(1 << 20));
    }

    [Test]
    public void TypesScalarsEmptyTensorsMetadataAndPaddingAreRead()
    {
        string header =
            $$"""
                {"__metadata__":{"format":"pt"},"f":{{Entry("F32", "[1,2]", "[0,8]")}},"none":{{Entry(
                    "F32",
                    "[0,7]",
                    "[8,8]"
                )}},
                 "s":{{Entry("F64", "[]", "[8,16]")}},"b":{{Entry("BF16", "[2]", "[16,20]")}},"h":{{Entry(
                    "F16",
                    "[1]",
                    "[20,22]"
                )}},"i":{{Entry("U8", "[1]", "[22,23]")}}}
                """
            + "   ";
        byte[] bytes = Container(header, 23);
        int data = bytes.Length - 23;
        BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(data), 1.5f);
        BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(data + 4), float.NaN);
        BinaryPrimitives.WriteDoubleLittleEndian(bytes.AsSpan(data + 8), Math.PI);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(data + 16), 0x3FC0);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(data + 18), 0xFF80);
        BinaryPrimitives.WriteHalfLittleEndian(bytes.AsSpan(data + 20), (Half)(-0.25));

        using var file = SafetensorsFile.Open(folder.Write("good.safetensors", bytes));

        Assert.That(file.Metadata, Is.EqualTo(new Dictionary<string, string> { ["format"] = "pt" }));
        Assert.That(
            () => file["f"].ToFloats(),
            Throws.TypeOf<InputException>().With.Message.Contains("'f' holds NaN at [0, 1]")
        );
        Assert.That(file["f"].Shape, Is.EqualTo(new long[] { 1, 2 }));
        Assert.That(file["none"].ToFloats(), Is.Empty);
        Assert.That(file["s"].ToFloats(), Is.EqualTo(new[] { (float)Math.PI }));
        Assert.That(file["s"].Count, Is.EqualTo(1));
        Assert.That(
            () => file["b"].ToFloats(),
            Throws.TypeOf<InputException>().With.Message.Contains("'b' holds -Infinity at [1]")
        );
        Assert.That(file["h"].ToFloats(), Is.EqualTo(new[] { -0.25f }));
        Assert.That(() => file["i"].ToFloats(), Throws.TypeOf<InputException>().With.Message.Contains("U8"));
        Assert.That(() => file["x"], Throws.TypeOf<InputException>().With.Message.Contains("'x'"));
    }

    [Test]
    public void PiecesAreReadAndRangesAreChecked()
    {
        string path = folder.File("t.safetensors");
        float[] values = [1, 2, 3, 4, 5];
        SafetensorsWriter.Write(path, [TensorToWrite.Floats("t", StoredType.BF16, [5], () => values)]);
        var file = SafetensorsFile.Open(path);
        float[] two = new float[2];

        file["t"].ReadFloats(3, two);

        Assert.That(two, Is.EqualTo(new float[] { 4, 5 }));
        Assert.That(() => file["t"].ReadFloats(4, two), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => file["t"].Slice(9, 2).Length, Throws.TypeOf<ArgumentOutOfRangeException>());
        SafetensorsTensor tensor = file["t"];
        file.Dispose();
        Assert.That(() => tensor.Data.Length, Throws.TypeOf<ObjectDisposedException>());
    }

    [Test]
    public void NoFileAndAFolderAreNamed()
    {
        Assert.That(
            () => SafetensorsFile.Open(folder.File("no.safetensors")),
            Throws.TypeOf<InputException>().With.Message.Contains("no such file")
        );
        Assert.That(
            () => SafetensorsFile.Open(folder.Path),
            Throws.TypeOf<InputException>().With.Message.Contains("cannot be read")
        );
    }
}
