using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class CheckTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void AnOperandIsNamedAsTheCallerNamesIt()
    {
        Tensor x = Output((2, 4));
        Tensor half = Output((2, 4), DType.BF16);
        Refused(() => Check.Operand(x, DType.I32), nameof(x), "x is F32, expected I32");
        Refused(() => Check.Operand(x, DType.F32, [-1, 5]), nameof(x), "x is [2, 4], expected [any, 5]");
        Refused(() => Check.Operand(x, DType.F32, [-1]), nameof(x), "x is [2, 4], expected [any]");
        Refused(() => Check.Operand(half, x), nameof(half), "half is BF16, expected F32 as x is");
        Refused(() => Check.Operand(half, x, DType.F32), nameof(half), "half is BF16, expected F32");
        Refused(() => Check.SameAs(Output(8), x, "y"), "y", "y is [8], expected [2, 4] as x is");
        Refused(() => Check.Floating(Output(8, DType.I32), name: "y"), "y", "y is I32, expected F32 or BF16");
    }

    [Test]
    public void ColumnsAreCheckedAgainstTheirMatrix()
    {
        Tensor x = Output((2, 4));
        ColumnRange last = new(x, 2, 2);
        ColumnRange beyond = new(x, 3, 2);
        ColumnRange? absent = null;
        Check.Operand(last, x, [2, 2]);
        Check.Optional(absent, x, [2, 2]);
        Refused(
            () => Check.Operand(last, x, [2, 3]),
            nameof(last),
            "last is columns 2 to 4 of [2, 4], expected 3 columns within it"
        );
        Refused(
            () => Check.Floating(beyond),
            nameof(beyond),
            "beyond is columns 3 to 5 of [2, 4], expected columns within it"
        );
        Refused(() => Check.Operand(last, x, [3, 2]), nameof(last), "last is [2, 4], expected [3, any]");
    }

    [Test]
    public void AnOperandThatIsNullOrDisposedIsSaidToBe()
    {
        Tensor x = Output(3);
        var gone = Tensor.Empty(Device, 3);
        gone.Dispose();
        Assert.Multiple(() =>
        {
            Assert.That(
                () => Add.Forward(x, null!, x),
                Throws.ArgumentNullException.With.Property(nameof(ArgumentException.ParamName)).EqualTo("b")
            );
            Assert.That(() => Rectifier.Forward(gone), Throws.TypeOf<ObjectDisposedException>());
            Assert.That(() => Check.Operand(gone, DType.F32), Throws.TypeOf<ObjectDisposedException>());
            Assert.That(() => Check.Floating((ColumnRange)gone), Throws.TypeOf<ObjectDisposedException>());
        });
    }

    [Test]
    public void AnOperandOfAnotherDeviceIsRefused()
    {
        Tensor x = Output(3);
        using Device other = Device.Kind == DeviceKind.Cpu ? Device.Cpu() : Device.Cuda();
        using var elsewhere = Tensor.Empty(other, 3);
        string message = $"elsewhere is on {other}, expected {Device}";
        Refused(() => Check.Operand(elsewhere, x), nameof(elsewhere), message);
        Refused(() => Check.Operand(elsewhere, x, DType.F32, [3]), nameof(elsewhere), message);
        Refused(() => Check.Floating(elsewhere, x), nameof(elsewhere), message);
        Refused(() => Check.SameAs(elsewhere, x), nameof(elsewhere), message);
    }

    [Test]
    public void WhatFitsAllocatesNothing()
    {
        Tensor x = Output((2, 4));
        Tensor y = Output((2, 4));
        void Verify()
        {
            Check.Floating(x, [-1, -1]);
            Check.Operand(y, x, [x.Dim(0), x.Dim(1)]);
            Check.Operand(new ColumnRange(y, 1, 2), x, [x.Dim(0), 2]);
            Check.Optional(null, x, [x.Dim(0), 2]);
            Check.SameAs(y, x);
        }
        Verify();
        long before = GC.GetAllocatedBytesForCurrentThread();
        Verify();
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }

    private static void Refused(Action check, string argument, string message) =>
        Assert.That(
            check,
            Throws
                .ArgumentException.With.Property(nameof(ArgumentException.ParamName))
                .EqualTo(argument)
                .And.Message.StartsWith(message)
        );
}
