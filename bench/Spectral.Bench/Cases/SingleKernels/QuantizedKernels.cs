using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Quantization;

namespace Spectral.Bench.Cases.SingleKernels;

/// <summary>Kernels of quantised weights: codes made and read, and the products that read them.</summary>
internal static class QuantizedKernels
{
    private const int Outputs = 256;
    private const int Inputs = 1024;
    private const double Elements = (double)Outputs * Inputs;

    public static IEnumerable<Plan> Plans(Machine machine) =>
        [
            .. new[] { WeightFormat.Nf4, WeightFormat.Int8 }.Select(format =>
                KernelSet.Plan(machine, $"{format.Name()} 256 x 1024", set => Codes(set, format))
            ),
            .. new[] { WeightFormat.Nf4, WeightFormat.Int8 }.Select(format =>
                KernelSet.Plan(
                    machine,
                    $"{format.Name()} 1024->256 M=256",
                    set => Products(set, format, QuantizedVariant.Fused)
                )
            ),
            .. machine.Device.ComputeCapability == (9, 0)
                ? new[]
                {
                    KernelSet.Plan(
                        machine,
                        "nf4 hopper 1024->256 M=256",
                        set => Products(set, WeightFormat.Nf4, QuantizedVariant.Hopper)
                    ),
                }
                : [],
        ];

    private static void Codes(KernelSet set, WeightFormat format)
    {
        Tensor plain = set.Normal((Outputs, Inputs));
        QuantizedMatrix weight = Quantized(set, format, plain);
        double stored = weight.Bytes;
        set.Add("fill", 2 * sizeof(float) * Elements + stored, 3 * Elements, () => weight.Fill(0, plain));
        foreach (DType type in KernelSet.Types)
        {
            string name = type.ToString().ToLowerInvariant();
            Tensor values = set.Empty((Outputs, Inputs), type);
            set.Add(
                "dequantize-" + name,
                stored + type.Size() * Elements,
                Elements,
                () => weight.Dequantize(0, values)
            );
            const int Rows = 4;
            Tensor x = set.Normal((Rows, Inputs), type);
            Tensor y = set.Empty((Rows, Outputs), type);
            set.Add(
                "matvec-" + name,
                stored + type.Size() * (double)Rows * (Inputs + Outputs),
                2 * Rows * Elements,
                () => With(set, QuantizedVariant.Matvec, () => FrozenProduct.Forward(x, weight, y))
            );
        }

        set.Add(
            "compress",
            0,
            0,
            () =>
            {
                using QuantizedMatrix other = Filled(set.Device, format, plain);
                other.CompressScales();
            }
        );
    }

    private static void Products(KernelSet set, WeightFormat format, QuantizedVariant variant)
    {
        const int Tokens = 256;
        QuantizedMatrix weight = Quantized(set, format, set.Normal((Outputs, Inputs)));
        Tensor x = set.Normal((Tokens, Inputs), DType.BF16);
        Tensor y = set.Normal((Tokens, Outputs), DType.BF16);
        Tensor result = set.Empty((Tokens, Outputs), DType.BF16);
        Tensor dx = set.Empty((Tokens, Inputs), DType.BF16);
        double bytes = weight.Bytes + sizeof(ushort) * (double)Tokens * (Inputs + Outputs);
        void Add(string name, Action run) => set.Add(name, bytes, 2 * Tokens * Elements, () => With(set, variant, run));
        Add("forward", () => FrozenProduct.Forward(x, weight, result));
        Add("input-gradient", () => FrozenProduct.InputGradient(y, weight, dx));
    }

    private static QuantizedMatrix Quantized(KernelSet set, WeightFormat format, Tensor values) =>
        set.Own(Filled(set.Device, format, values));

    private static QuantizedMatrix Filled(Device device, WeightFormat format, Tensor values)
    {
        var matrix = new QuantizedMatrix(device, Outputs, Inputs, QuantizedLayout.For(format));
        matrix.Fill(0, values);
        return matrix;
    }

    private static void With(KernelSet set, QuantizedVariant variant, Action run)
    {
        FrozenProduct.Force(set.Device, variant);
        run();
        FrozenProduct.Force(set.Device, null);
    }
}
