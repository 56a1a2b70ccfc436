using Spectral.Kernels;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Tests.Adapters.Expressions;

/// <summary>Operations name the shapes that do not fit.</summary>
public sealed class ExpressionShapeTests
{
    [Test]
    public void ShapesThatDoNotFitAreNamed()
    {
        Expression matrix = Make((3, 4));
        Expression vector = Make(4);
        Expression batch = Make((2, 3, 3));
        Assert.Multiple(() =>
        {
            Assert.That(
                () => matrix.MatMul(matrix),
                Throws.ArgumentException.With.Message.Contains("a product of [3, 4] and [3, 4]")
            );
            Assert.That(
                () => matrix.MatMulBlocks(batch),
                Throws.ArgumentException.With.Message.Contains(
                    "a product of [3, 4] and the block diagonal of [2, 3, 3]"
                )
            );
            Assert.That(
                () => matrix.ScaleRows(vector),
                Throws.ArgumentException.With.Message.Contains("[3, 4] times [4] PerRow")
            );
            Assert.That(
                () => matrix.Add(vector),
                Throws.ArgumentException.With.Message.Contains("a sum of [3, 4] and [4]")
            );
            Assert.That(
                () => matrix.Dot(vector),
                Throws.ArgumentException.With.Message.Contains("an inner product of [3, 4] and [4]")
            );
            Assert.That(
                () => vector.AddIdentity(),
                Throws.ArgumentException.With.Message.Contains("[4] plus the identity")
            );
            Assert.That(
                () => matrix.Inverse(),
                Throws.ArgumentException.With.Message.Contains("the inverse of [1, 3, 4]")
            );
            Assert.That(
                () => matrix.Block(2, 0, 2, 2),
                Throws.ArgumentException.With.Message.Contains("a rectangle [2, 2] at row 2, column 0 of [3, 4]")
            );
            Assert.That(
                () => matrix.Reshape(5),
                Throws.ArgumentException.With.Message.Contains("[3, 4] in the shape [5]")
            );
            Assert.That(
                () => ExpressionOperations.ConcatRows(matrix, vector),
                Throws.ArgumentException.With.Message.Contains("rows of [3, 4], [4] together")
            );
            Assert.That(
                () => matrix.UpperTriangle(),
                Throws.ArgumentException.With.Message.Contains("the upper triangle of [3, 4]")
            );
            Assert.That(
                () => matrix.SkewSymmetric(3),
                Throws.ArgumentException.With.Message.Contains(
                    "[3, 4] as the upper triangles of matrices [3, 3]: expected [any, 3]"
                )
            );
            Assert.That(
                () => matrix.Gather(3, [0, 1]),
                Throws.ArgumentException.With.Message.Contains("2 indices for [3]")
            );
            Assert.That(
                () => matrix.TopKMixture(matrix, 1),
                Throws.ArgumentException.With.Message.Contains(
                    "mixtures of 1 vectors of a bank [3, 4] by logits [3, 4]"
                )
            );
            Assert.That(
                () => vector.RandomCombination(matrix, (2, 2), 0, 0, 1),
                Throws.ArgumentException.With.Message.Contains("[4] random directions [2, 2] added to [3, 4]")
            );
            Assert.That(() => batch.Neumann(2), Throws.TypeOf<ArgumentOutOfRangeException>());
        });

        static Factor Make(Shape shape) => new("x", shape, true, Start.Zeros, false);
    }
}
