using Spectral.Training.IO;
using Spectral.Training.Numerics;

namespace Spectral.Training.Packing;

/// <summary>
/// Rounds the factors of a product to levels so that their outputs change least on given inputs, by GPTQ (Frantar et
/// al., 2022, arXiv 2210.17323): entries are rounded one input after the other, and those of later inputs make up for
/// the errors so far.
/// </summary>
/// <remarks>
/// With H = Σ x xᵀ over the inputs x, damped, and H = M Mᵀ with M upper triangular, the squared error of the outputs of
/// a row is ‖e M‖² for its errors e. Component k of e M has only errors up to k, so that the best value of entry k is
/// <c>w_k + Σ_i&lt;k e_i M_ik / M_kk</c>. GPTQ's own form, which updates all later entries by rows of a Cholesky factor
/// of H⁻¹, gives the same values and needs the inverse.
/// </remarks>
internal static class CalibratedRounding
{
    /// <summary>Rounds the rows of a matrix that multiplies the inputs.</summary>
    /// <param name="matrix">The rows [count, inputs].</param>
    /// <param name="bands">How many of them have entries of how many bits.</param>
    /// <param name="products">H [inputs, inputs], not damped.</param>
    /// <param name="damping">What is added to its diagonal, as a share of the diagonal's mean.</param>
    /// <exception cref="InputException">The damped products are not positive.</exception>
    public static BandMatrix Rows(
        HostMatrix matrix,
        IReadOnlyList<(int Bits, int Count)> bands,
        HostMatrix products,
        double damping
    )
    {
        HostMatrix damped = Damped(products, damping);
        HostMatrix root = RootOf(damped);
        int[] bits = BandMatrix.BitsOf(bands);
        var rounded = new RoundedVector[matrix.Rows];
        Parallel.For(0, matrix.Rows, i => rounded[i] = Row(matrix.Row(i), bits[i], damped, root));
        return BandMatrix.Of(rounded, bands);
    }

    /// <summary>Rounds the columns of a matrix that multiplies the inputs. Each input has a column.</summary>
    /// <param name="columns">The columns, one per row: [inputs, outputs].</param>
    /// <inheritdoc cref="Rows"/>
    /// <param name="bands">How many of them have entries of how many bits.</param>
    /// <param name="products">H [inputs, inputs], not damped.</param>
    /// <param name="damping">What is added to its diagonal, as a share of the diagonal's mean.</param>
    /// <exception cref="InputException">The damped products are not positive.</exception>
    public static BandMatrix Columns(
        HostMatrix columns,
        IReadOnlyList<(int Bits, int Count)> bands,
        HostMatrix products,
        double damping
    )
    {
        HostMatrix root = RootOf(Damped(products, damping));
        int[] bits = BandMatrix.BitsOf(bands);
        int length = columns.Columns;
        var rounded = new RoundedVector[columns.Rows];
        HostMatrix errors = new(columns.Rows, length);
        for (int k = 0; k < columns.Rows; k++)
        {
            double[] wanted = columns.Row(k).ToArray();
            for (int i = 0; i < k; i++)
            {
                double factor = root[i, k] / root[k, k];
                for (int j = 0; j < length; j++)
                    wanted[j] += factor * errors[i, j];
            }
            rounded[k] = BandRounding.Nearest(wanted, bits[k]);
            for (int j = 0; j < length; j++)
            {
                errors.Values[(k * length) + j] = columns[k, j] - (rounded[k].Norm * rounded[k].Direction(j, bits[k]));
            }
        }
        return BandMatrix.Of(rounded, bands);
    }

    // Rounded to F32, products of nearly dependent inputs may have lost what makes them positive.
    private static HostMatrix RootOf(HostMatrix damped)
    {
        HostMatrix root = damped.UpperRoot();
        return double.IsFinite(root[0, 0])
            ? root
            : throw new InputException(
                "the inputs of a layer depend on each other too closely to calibrate on; expected more records or a "
                    + "larger damping"
            );
    }

    private static RoundedVector Row(ReadOnlySpan<double> row, int bits, HostMatrix products, HostMatrix root)
    {
        float[] scales = new float[BandMatrix.GroupsOf(row.Length)];
        RoundedVector rounded = new(new int[row.Length], scales, 0);
        double norm = Math.Sqrt(HostMatrix.Dot(row, row));
        if (norm == 0)
            return rounded;
        double[] direction = new double[row.Length];
        double[] carried = new double[row.Length]; // Σ_i e_i M_ik over the errors so far
        for (int k = 0; k < row.Length; k++)
        {
            if (k % BandRounding.Group == 0)
            {
                double[] group = Compensated(row, carried, root, k, norm);
                scales[k / BandRounding.Group] = BandRounding.BestScale(group, bits);
            }
            double wanted = (row[k] + (carried[k] / root[k, k])) / norm;
            rounded.Codes[k] = BandRounding.NearestCode(wanted, scales[k / BandRounding.Group], bits);
            direction[k] = rounded.Direction(k, bits);
            AddTo(carried, row[k] - (norm * direction[k]), root, k);
        }

        // The norm with the smallest error of the outputs.
        HostMatrix own = new(1, row.Length, direction);
        double[] outputs = own.TimesTransposed(products).Values;
        double squares = HostMatrix.Dot(outputs, direction);
        return rounded with { Norm = (float)(squares > 0 ? HostMatrix.Dot(outputs, row) / squares : 0) };
    }

    /// <summary>
    /// Returns the entries of a group, over the norm, as they are wanted while none of the group is rounded.
    /// </summary>
    private static double[] Compensated(
        ReadOnlySpan<double> row,
        double[] carried,
        HostMatrix root,
        int start,
        double norm
    )
    {
        double[] ahead = [.. carried];
        double[] group = new double[Math.Min(BandRounding.Group, row.Length - start)];
        for (int j = 0; j < group.Length; j++)
        {
            int k = start + j;
            double shift = ahead[k] / root[k, k];
            group[j] = (row[k] + shift) / norm;
            for (int later = k + 1; later < start + group.Length; later++)
                ahead[later] -= shift * root[k, later];
        }
        return group;
    }

    private static void AddTo(double[] carried, double error, HostMatrix root, int k)
    {
        ReadOnlySpan<double> own = root.Row(k);
        for (int later = k + 1; later < carried.Length; later++)
            carried[later] += error * own[later];
    }

    /// <summary>
    /// Adds to the diagonal, so that inputs that the records do not show leave a single solution. Where they show none,
    /// all directions count the same.
    /// </summary>
    private static HostMatrix Damped(HostMatrix products, double damping)
    {
        HostMatrix damped = new(products.Rows, products.Columns, [.. products.Values]);
        double trace = 0;
        for (int i = 0; i < damped.Rows; i++)
            trace += damped[i, i];
        for (int i = 0; i < damped.Rows; i++)
            damped.Values[(i * damped.Columns) + i] += trace > 0 ? damping * trace / damped.Rows : 1;
        return damped;
    }
}
