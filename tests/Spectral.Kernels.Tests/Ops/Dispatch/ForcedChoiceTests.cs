using Spectral.Kernels.Ops;
using Spectral.Kernels.Ops.Dispatch;

namespace Spectral.Kernels.Tests.Ops.Dispatch;

/// <summary>What is forced is forced on one device: another in the same process goes by its own choice.</summary>
public sealed class ForcedChoiceTests
{
    [Test]
    public void TwoDevicesForceLowRankVariantsOfTheirOwn()
    {
        using var first = Device.Cpu();
        using var second = Device.Cpu();
        LowRankLinear.Force(first, LowRankVariant.ComposedA);
        LowRankLinear.Force(second, LowRankVariant.ComposedB);
        Assert.That(
            (LowRankLinear.Choose(first, DType.F32).Variant, LowRankLinear.Choose(second, DType.F32).Variant),
            Is.EqualTo(("composed-a", "composed-b"))
        );
        LowRankLinear.Force(first, null);
        Assert.That(
            (LowRankLinear.Forced(first), LowRankLinear.Forced(second)),
            Is.EqualTo(((LowRankVariant?)null, (LowRankVariant?)LowRankVariant.ComposedB))
        );
    }

    [Test]
    public void TwoDevicesForcePassesOfTheirOwn()
    {
        using var first = Device.Cpu();
        using var second = Device.Cpu();
        LowRank.ForcePasses(first, LowRankPassKind.Kernels);
        LowRank.ForcePasses(second, LowRankPassKind.Blas);
        Assert.That((Ran(first), Ran(second)), Is.EqualTo(("kernels", "blas")));
    }

    [Test]
    public void TwoDevicesForceAttentionOfTheirOwn()
    {
        using var first = Device.Cpu();
        using var second = Device.Cpu();
        Attention.Force(first, AttentionVariant.Fused);
        Attention.Force(second, AttentionVariant.Composed);
        Assert.That(
            (Attention.Choose(first, DType.BF16, 64), Attention.Choose(second, DType.BF16, 64)),
            Is.EqualTo((AttentionVariant.Fused, AttentionVariant.Composed))
        );
    }

    [Test]
    public void TheVariableIsTheDefaultOfEachDevice()
    {
        const string Variable = "SPECTRAL_FORCED_CHOICE_TEST";
        var choice = new ForcedChoice<LowRankPassKind>(
            Variable,
            ("blas", LowRankPassKind.Blas),
            ("kernels", LowRankPassKind.Kernels)
        );
        using var first = Device.Cpu();
        using var second = Device.Cpu();
        Environment.SetEnvironmentVariable(Variable, "kernels");
        try
        {
            choice.Force(second, null);
            Assert.That(
                (choice.On(first), choice.On(second)),
                Is.EqualTo(((LowRankPassKind?)LowRankPassKind.Kernels, (LowRankPassKind?)null))
            );
        }
        finally
        {
            Environment.SetEnvironmentVariable(Variable, null);
        }
    }

    private static string Ran(Device device)
    {
        using var x = Tensor.Zeros(device, (8, 16), DType.BF16);
        using var right = Tensor.Zeros(device, (8, 16), DType.BF16);
        using var z = Tensor.Empty(device, (8, 8), DType.BF16);
        LowRank.Project(x, right, z);
        return device.Variants.All.Single().Variant;
    }
}
